"""The host's end of the link: frames, pipes, and a conversation that survives what pipes do."""

from host.link.channel import BoardReset, Channel, NoAnswer, Reading
from host.link.frames import Unframer, encode, frame
from host.link.pipe import LinkError, Pipe
from host.link.serial_port import SerialPipe
from host.link.spi_port import SpiPipe

__all__ = ["BoardReset", "Channel", "LinkError", "NoAnswer", "Pipe", "Reading", "SerialPipe",
           "SpiPipe", "Unframer", "encode", "frame"]
