"""Record batches by hand: with any field falsified on the way in, taken apart and checked on the way out."""

import struct
import time
import zlib

from crc32c import crc32c

from harness.raw_wire import Reader, bytes_, varint

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def record(offset_delta, key=None, value=b"value", timestamp_delta=0, headers=()):
    def sized(data):
        return varint(-1) if data is None else varint(len(data)) + data

    body = b"\x00" + varint(timestamp_delta) + varint(offset_delta) + sized(key) + sized(value) + varint(len(headers))
    body += b"".join(sized(name) + sized(header) for name, header in headers)
    return varint(len(body)) + body


def batch(records, *, count=None, last_offset_delta=None, base_offset=0, magic=2, attributes=0, crc=None, timestamp=None,
          producer=(-1, -1, -1), length=None):
    """A record batch of encoded records (a list, or bytes that stand for them), with any header field falsified on wish."""
    count = len(records) if count is None else count
    last_offset_delta = count - 1 if last_offset_delta is None else last_offset_delta
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    payload = records if isinstance(records, bytes) else b"".join(records)
    body = struct.pack(">hiqqqhii", attributes, last_offset_delta, timestamp, timestamp, *producer, count) + payload
    crc = crc32c(body) if crc is None else crc
    length = 9 + len(body) if length is None else length
    return struct.pack(">qiibI", base_offset, length, -1, magic, crc) + body


def message_set(magic, value=b"value", offset=0):
    """One message of the formats before record batches, 0 or 1, as clients before 0.11 sent it."""
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", int(time.time() * 1000)) if magic == 1 else b"") + bytes_(None) + bytes_(value)
    return struct.pack(">qiI", offset, 4 + len(body), zlib.crc32(body)) + body


def batches(data):
    """Splits fetched bytes into (base offset, record count, bytes) of whole batches; asserts magic 2 and a right CRC for each."""
    at, found = 0, []
    while at + 61 <= len(data):
        base, length, _, magic, crc = struct.unpack_from(">qiibI", data, at)
        whole = data[at : at + 12 + length]
        if len(whole) < 12 + length:
            break
        assert magic == 2
        assert crc32c(whole[21:]) == crc, f"crc of the batch at {base}"
        found.append((base, struct.unpack_from(">i", whole, 57)[0], whole))
        at += 12 + length
    return found


def values(data):
    """[(offset, value)] of the records in fetched bytes; the batches must be uncompressed."""
    found = []
    for base, count, whole in batches(data):
        reader = Reader(whole[61:])
        for _ in range(count):
            length = reader.varint()
            end = reader.at + length
            _attributes, _timestamp, delta = reader.take(">b"), reader.varint(), reader.varint()
            _key, value = reader.slice(reader.varint()), reader.slice(reader.varint())
            found.append((base + delta, value))
            reader.at = end
    return found
