"""What one broker says about the cluster, asked over a raw socket: a client library would ask whomever it likes."""

import socket
import struct

METADATA, VERSION = 3, 7


class Reader:
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


class State:
    """A partition as a broker describes it."""

    def __init__(self, leader, epoch, replicas, in_sync):
        self.leader, self.epoch, self.replicas, self.in_sync = leader, epoch, replicas, in_sync

    def __repr__(self):
        return f"leader {self.leader} in epoch {self.epoch}, replicas {self.replicas}, in sync {self.in_sync}"

    @property
    def whole(self):
        return self.leader >= 0 and sorted(self.replicas) == sorted(self.in_sync)


def ask(address, timeout=3):
    """(brokers, {(topic, partition): State}, {topic: id}); OSError when nobody answers."""
    body = struct.pack(">i", -1) + b"\0"
    client = b"harness"
    request = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client + body
    with socket.create_connection(address, timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", receive(connection, 4))
        reader = Reader(receive(connection, size))
    reader.take("i")
    reader.take("i")
    brokers = reader.array(lambda: (reader.take("i"), reader.string(), reader.take("i"), reader.string())[0])
    reader.string()
    controller = reader.take("i")
    partitions = {}

    def partition(topic):
        reader.take("h")
        index, leader, epoch = reader.take("i"), reader.take("i"), reader.take("i")
        replicas, in_sync = reader.array(lambda: reader.take("i")), reader.array(lambda: reader.take("i"))
        reader.array(lambda: reader.take("i"))
        partitions[topic, index] = State(leader, epoch, replicas, in_sync)

    def topic():
        reader.take("h")
        name = reader.string()
        reader.take("b")
        reader.array(lambda: partition(name))

    reader.array(topic)
    return sorted(brokers), partitions, controller


def receive(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return bytes(data)
