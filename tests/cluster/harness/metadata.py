"""What one broker says about the cluster, asked over a raw socket: a client library would ask whomever it likes."""

import struct

from harness.raw import Connection

METADATA, VERSION = 3, 7


class State:
    """A partition as a broker describes it."""

    def __init__(self, leader, epoch, replicas, in_sync):
        self.leader, self.epoch, self.replicas, self.in_sync = leader, epoch, replicas, in_sync

    def __repr__(self):
        return f"leader {self.leader} in epoch {self.epoch}, replicas {self.replicas}, in sync {self.in_sync}"

    @property
    def whole(self):
        return self.leader >= 0 and sorted(self.replicas) == sorted(self.in_sync)


NOBODY = State(-1, -1, [], [])


def ask(address, timeout=3, topic=None):
    """(brokers, {(topic, partition): State}, controller) of every topic, or of one, which is made if it is not there; OSError when nobody
    answers."""
    body = struct.pack(">i", -1) + b"\0" if topic is None else struct.pack(">ih", 1, len(topic)) + topic.encode() + b"\1"
    with Connection(address, timeout) as connection:
        reader = connection.ask(METADATA, VERSION, body)
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


def catalogue(address, timeout=20):
    """Everything that a broker knows of brokers and topics, as the bytes of its answer to Metadata v12, topic ids included."""
    with Connection(address, timeout) as connection:
        # The header's tags, no list of topics, not to be made, without authorized operations, no tags.
        return connection.ask(METADATA, 12, b"\0\0\0\0\0").data[4:]
