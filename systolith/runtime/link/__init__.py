"""The host's end of the link: frames, pipes, and a conversation that survives what pipes do."""

from systolith.runtime.link.channel import BoardReset, Channel, NoAnswer, Reading
from systolith.runtime.link.frames import Unframer, encode, frame
from systolith.runtime.link.pipe import LinkError, Pipe
from systolith.runtime.link.serial_port import SerialPipe
from systolith.runtime.link.spi_port import SpiPipe

__all__ = ["BoardReset", "Channel", "LinkError", "NoAnswer", "Pipe", "Reading", "SerialPipe",
           "SpiPipe", "Unframer", "encode", "frame"]
