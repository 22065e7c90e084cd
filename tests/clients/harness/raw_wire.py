"""The primitives of Kafka's frames: to put a request together, and to take an answer apart."""

import struct


def string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">h", len(data)) + data


def bytes_(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def varint_unsigned(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint(number):
    return varint_unsigned((number << 1 ^ number >> 63) & (1 << 64) - 1)


def compact_string(text):
    data = text.encode()
    return varint_unsigned(len(data) + 1) + data


def compact_array(items):
    return varint_unsigned(len(items) + 1) + b"".join(items)


NO_TAGS = b"\x00"


class Reader:
    """Takes an answer apart, in order."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values[0] if len(values) == 1 else values

    def string(self):
        data = self.slice(self.take(">h"))
        return data if data is None else data.decode()

    def bytes(self):
        return self.slice(self.take(">i"))

    def array(self, item):
        return [item() for _ in range(max(self.take(">i"), 0))]

    def varint_unsigned(self):
        number, shift = 0, 0
        while (byte := self.take(">B")) > 0x7F:
            number |= (byte & 0x7F) << shift
            shift += 7
        return number | byte << shift

    def varint(self):
        number = self.varint_unsigned()
        return number >> 1 ^ -(number & 1)

    def slice(self, length):
        """None for a negative length."""
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at]

    def compact_string(self):
        data = self.slice(self.varint_unsigned() - 1)
        return data if data is None else data.decode()

    def compact_array(self, item):
        return [item() for _ in range(max(self.varint_unsigned() - 1, 0))]

    def left(self):
        return len(self.data) - self.at
