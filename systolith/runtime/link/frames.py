"""Frames of the link: CRC-32, COBS, a delimiter. See ``docs/link.md``."""

import zlib

__all__ = ["LONGEST", "Unframer", "encode", "frame"]

#: Bytes of a frame before COBS, its CRC included, so that no group is a full one.
LONGEST = 253


def encode(data: bytes) -> bytes:
    """``data`` as COBS encodes it, without the delimiter."""
    groups = bytes(data).split(b"\0")
    if max(map(len, groups)) > LONGEST:
        raise ValueError(f"a frame has at most {LONGEST} bytes, not {len(data)}")
    return b"".join(bytes([len(group) + 1]) + group for group in groups)


def frame(body: bytes) -> bytes:
    """All bytes that go over the pipe for a frame of ``body``."""
    return encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"


class Unframer:
    """Bytes as they come to the bodies of frames that are intact.

    ``bad`` counts the others. What comes before the first delimiter may be half a frame.
    """

    def __init__(self) -> None:
        self.bad = 0
        self._rest = b""

    def clear(self) -> None:
        """Forget the beginning of a frame."""
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Bodies that ``data`` completes."""
        *whole, rest = (self._rest + data).split(b"\0")
        # A frame that has grown too long is noise: keep it from growing for ever.
        self._rest = rest if len(rest) <= LONGEST + 1 else rest[:LONGEST + 2]
        bodies = []
        for encoded in filter(None, whole):
            body = _body(encoded)
            if body is None:
                self.bad += 1
            else:
                bodies.append(body)
        return bodies


def _body(encoded: bytes) -> bytes | None:
    """Body of a frame, or None if it is not intact."""
    data, at = bytearray(), 0
    while at < len(encoded):
        code = encoded[at]
        if at + code > len(encoded):
            return None
        data += encoded[at + 1:at + code] + b"\0"
        at += code
    data.pop()
    body, check = bytes(data[:-4]), bytes(data[-4:])
    return body if len(data) > 4 and zlib.crc32(body).to_bytes(4, "little") == check else None
