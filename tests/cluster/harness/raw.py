"""Frames by hand over one connection to one broker: a client library would retry, guess, and choose brokers itself."""

import socket
import struct
import time

from crc32c import crc32c

PRODUCE, INIT_PRODUCER_ID = 0, 22
CLIENT = b"harness"


class Reader:
    """Takes an answer apart, in order."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def array(self, item):
        return [item() for _ in range(max(self.take("i"), 0))]


class Connection:
    """OSError when it cannot be made, breaks, or nothing comes for `timeout` seconds."""

    def __init__(self, address, timeout=3):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def ask(self, key, version, body):
        """Sends a request with header v1 and gives what follows the correlation id of its answer."""
        self.correlation += 1
        request = struct.pack(">hhih", key, version, self.correlation, len(CLIENT)) + CLIENT + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", self.receive(4))
        reader = Reader(self.receive(size))
        if reader.take("i") != self.correlation:
            raise ConnectionError("an answer to another request")
        return reader

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return bytes(data)

    def init_producer_id(self):
        """(error, producer id, epoch) for an idempotent producer."""
        reader = self.ask(INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60_000))
        reader.take("i")
        return reader.take("h"), reader.take("q"), reader.take("h")

    def produce(self, topic, partition, batch, acks=-1, timeout_ms=2_000):
        """(error, base offset) of one batch, by Produce v3, the oldest version that Kafka 4 serves."""
        entry = struct.pack(">ii", partition, len(batch)) + batch
        body = struct.pack(">hhi", -1, acks, timeout_ms)
        body += struct.pack(">ih", 1, len(topic)) + topic.encode() + struct.pack(">i", 1) + entry
        reader = self.ask(PRODUCE, 3, body)

        def partition_answer():
            reader.take("i")
            error, offset = reader.take("h"), reader.take("q")
            reader.take("q")
            return error, offset

        answers = reader.array(lambda: (reader.string(), reader.array(partition_answer)))
        return answers[0][1][0]


def varint(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def batch(values, producer_id=-1, producer_epoch=-1, sequence=-1):
    """A record batch of `values`, without keys and headers."""
    records = b""
    for delta, value in enumerate(values):
        body = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    now = int(time.time() * 1000)
    producer = struct.pack(">qhi", producer_id, producer_epoch, sequence)
    covered = struct.pack(">hiqq", 0, len(values) - 1, now, now) + producer + struct.pack(">i", len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(covered), -1, 2, crc32c(covered)) + covered
