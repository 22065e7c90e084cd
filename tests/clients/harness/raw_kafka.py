"""A tiny Kafka client over a raw socket, for what no real client would send, and for what one broker says: a client library would try again, guess,
and choose brokers itself.

Of each request the oldest version is spoken that Kafka 4 still serves and that tells enough, one that is not flexible where there is one: a few
primitives do for those, and they have nothing in common with the broker's own codec.
"""

import socket
import struct
import time
from typing import NamedTuple

from harness.raw_wire import NO_TAGS, Reader, array, bytes_, compact_array, compact_string, string

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID = 0, 1, 2, 3, 18, 19, 22
INCREMENTAL_ALTER_CONFIGS, ALTER_PARTITION_REASSIGNMENTS, DESCRIBE_QUORUM, UNREGISTER_BROKER = 44, 45, 55, 64
TOPIC_RESOURCE, GROUP_RESOURCE = 2, 32

NONE = 0
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
MESSAGE_TOO_LARGE = 10
COORDINATOR_LOAD_IN_PROGRESS = 14
INVALID_TOPIC = 17
INVALID_REQUIRED_ACKS = 21
UNSUPPORTED_VERSION = 35
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_REPLICATION_FACTOR = 38
INVALID_REQUEST = 42
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
UNSUPPORTED_COMPRESSION_TYPE = 76
INVALID_RECORD = 87


class Closed(ConnectionError):
    """The broker closed the connection instead of answering."""


class State(NamedTuple):
    """A partition as a broker describes it."""

    leader: int
    epoch: int
    replicas: list
    in_sync: list

    @property
    def whole(self):
        return self.leader >= 0 and sorted(self.replicas) == sorted(self.in_sync)


NOBODY = State(-1, -1, [], [])


class Quorum(NamedTuple):
    """The metadata group as a broker describes it. Members are {broker: end of its log}, -1 where that is not known."""

    leader: int
    epoch: int
    committed: int
    voters: dict
    observers: dict


class Connection:
    """One socket to a broker, which is anything with `host` and `port`. Every wait ends after `timeout` seconds, as a failure; OSError when there is no
    connection, or none any more."""

    def __init__(self, broker, timeout=15):
        self.socket = socket.create_connection((broker.host, broker.port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        """Sends bytes as they are; a broker that has already closed is no error here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, key, version, body=b"", client="raw"):
        """Sends a request with header v1; gives its correlation id."""
        self.correlation += 1
        request = struct.pack(">hhi", key, version, self.correlation) + string(client) + body
        self.send_raw(struct.pack(">i", len(request)) + request)
        return self.correlation

    def receive_raw(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed()
            data += part
        return bytes(data)

    def receive(self):
        """The next answer: its correlation id and a reader behind response header v0."""
        (length,) = struct.unpack(">i", self.receive_raw(4))
        reader = Reader(self.receive_raw(length))
        return reader.take(">i"), reader

    def ask(self, key, version, body=b""):
        sent = self.send(key, version, body)
        answered, reader = self.receive()
        assert answered == sent, "answers leave in the order of the requests"
        return reader

    def is_closed(self):
        """Waits for the broker to close; an answer or silence until the time limit is false."""
        try:
            self.receive_raw(1)
            return False
        except Closed:
            return True
        except TimeoutError:
            return False

    def drain(self):
        """Waits for the broker to close; gives what it sent before."""
        data = b""
        try:
            while part := self.socket.recv(65536):
                data += part
        except ConnectionResetError:
            pass
        return data

    def api_versions(self, version=0):
        """The error and {key: (min, max)} of a v0 answer, whatever version was asked for."""
        # From v3 on: header v2 with its tag section, then the client's name and version as compact strings, then tags.
        flexible = b"\x00" + b"\x04raw" + b"\x021" + b"\x00"
        reader = self.ask(API_VERSIONS, version, flexible if version >= 3 else b"")
        error = reader.take(">h")
        apis = reader.array(lambda: reader.take(">hhh"))
        return error, {key: (low, high) for key, low, high in apis}

    def metadata(self, topics=None, auto_create=True):
        """Brokers as (id, host, port), and {topic: (error, partition count)}."""
        brokers, _, found = self.describe(topics, auto_create)
        return brokers, {name: (error, len(partitions)) for name, (error, partitions) in found.items()}

    def describe(self, topics=None, auto_create=False):
        """Metadata v7, the first with leader epochs: brokers as (id, host, port), the controller, and {topic: (error, {partition: State})}."""
        names = struct.pack(">i", -1) if topics is None else array([string(topic) for topic in topics])
        reader = self.ask(METADATA, 7, names + struct.pack(">b", auto_create))
        _throttle = reader.take(">i")
        brokers = reader.array(lambda: (reader.take(">i"), reader.string(), reader.take(">i"), reader.string())[:3])
        _cluster, controller = reader.string(), reader.take(">i")

        def numbers():
            return reader.array(lambda: reader.take(">i"))

        def partition():
            _error, index, leader, epoch = reader.take(">hiii")
            state = State(leader, epoch, numbers(), numbers())
            _offline = numbers()
            return index, state

        def topic():
            error, name, _internal = reader.take(">h"), reader.string(), reader.take(">b")
            return name, (error, dict(reader.array(partition)))

        return brokers, controller, dict(reader.array(topic))

    def produce_request(self, topic, partition, records, acks=1, timeout_ms=10_000):
        """The body of Produce v3, the oldest version that Kafka 4 serves."""
        entry = struct.pack(">i", partition) + bytes_(records)
        return string(None) + struct.pack(">hi", acks, timeout_ms) + array([string(topic) + array([entry])])

    def produce(self, topic, partition, records, acks=1, version=3, timeout_ms=10_000):
        """Produces with v3 to v7 and gives (error, base offset)."""
        reader = self.ask(PRODUCE, version, self.produce_request(topic, partition, records, acks, timeout_ms))

        def answer():
            found = reader.take(">ihqq")
            if version >= 5:
                reader.take(">q")
            return found[1:3]

        topics = reader.array(lambda: (reader.string(), reader.array(answer)))
        return topics[0][1][0]

    def list_offset(self, topic, partition, timestamp):
        """ListOffsets v1: (error, timestamp, offset)."""
        body = struct.pack(">i", -1) + array([string(topic) + array([struct.pack(">iq", partition, timestamp)])])
        reader = self.ask(LIST_OFFSETS, 1, body)
        topics = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take(">ihqq"))))
        return topics[0][1][0][1:]

    def fetch_request(self, topic, partition, offset, max_wait_ms=500, min_bytes=1, max_bytes=1 << 20):
        """The body of Fetch v4, the oldest version that Kafka 4 serves."""
        entry = struct.pack(">iqi", partition, offset, max_bytes)
        return struct.pack(">iiiib", -1, max_wait_ms, min_bytes, max_bytes, 0) + array([string(topic) + array([entry])])

    def fetch(self, topic, partition, offset, **options):
        """Fetch v4: (error, high watermark, batches as bytes)."""
        reader = self.ask(FETCH, 4, self.fetch_request(topic, partition, offset, **options))
        reader.take(">i")

        def answer():
            _, error, high_watermark, _ = reader.take(">ihqq")
            reader.array(lambda: reader.take(">qq"))
            return error, high_watermark, reader.bytes()

        topics = reader.array(lambda: (reader.string(), reader.array(answer)))
        return topics[0][1][0]

    def create_topic(self, name, partitions=1, replication_factor=1, configs=()):
        """CreateTopics v2: the topic's error code."""
        topic = string(name) + struct.pack(">ih", partitions, replication_factor) + array([])
        topic += array([string(key) + string(value) for key, value in configs])
        reader = self.ask(CREATE_TOPICS, 2, array([topic]) + struct.pack(">ib", 10_000, 0))
        reader.take(">i")
        return reader.array(lambda: (reader.string(), reader.take(">h"), reader.string()))[0][1]

    def set_config(self, resource_type, name, key, value):
        """IncrementalAlterConfigs v0 that sets one key: the error."""
        config = string(key) + struct.pack(">b", 0) + string(value)
        resource = struct.pack(">b", resource_type) + string(name) + array([config])
        reader = self.ask(INCREMENTAL_ALTER_CONFIGS, 0, array([resource]) + struct.pack(">b", False))
        reader.take(">i")
        return reader.array(lambda: (reader.take(">h"), reader.string(), reader.take(">b"), reader.string()))[0][0]

    def reassign(self, topic, partition, brokers):
        """AlterPartitionReassignments v0, which is flexible: header v2, compact strings and arrays, tags; gives the request's error."""
        moved = struct.pack(">i", partition) + compact_array([struct.pack(">i", broker) for broker in brokers]) + NO_TAGS
        entry = compact_string(topic) + compact_array([moved]) + NO_TAGS
        body = NO_TAGS + struct.pack(">i", 10_000) + compact_array([entry]) + NO_TAGS
        reader = self.ask(ALTER_PARTITION_REASSIGNMENTS, 0, body)
        _tags, _throttle, error = reader.take(">bih")
        return error

    def describe_quorum(self):
        """DescribeQuorum v0, which is flexible."""
        partition = struct.pack(">i", 0) + NO_TAGS
        entry = compact_string("__cluster_metadata") + compact_array([partition]) + NO_TAGS
        reader = self.ask(DESCRIBE_QUORUM, 0, NO_TAGS + compact_array([entry]) + NO_TAGS)
        _tags, error = reader.take(">bh")
        assert error == NONE

        def member():
            broker, end, _tags = reader.take(">iqb")
            return broker, end

        def partition():
            _index, error, leader, epoch, committed = reader.take(">ihiiq")
            assert error == NONE
            return Quorum(leader, epoch, committed, dict(reader.compact_array(member)), dict(reader.compact_array(member)))

        # There is one topic with one partition, so that what follows them does not matter.
        [(_name, [quorum])] = reader.compact_array(lambda: (reader.compact_string(), reader.compact_array(partition)))
        return quorum

    def unregister(self, broker):
        """UnregisterBroker v0, which is flexible: the error and its message."""
        reader = self.ask(UNREGISTER_BROKER, 0, NO_TAGS + struct.pack(">i", broker) + NO_TAGS)
        _tags, _throttle, error = reader.take(">bih")
        return error, reader.compact_string()

    def ask_for_producer_id(self):
        """InitProducerId v0 without a transactional id: (error, producer id, epoch)."""
        reader = self.ask(INIT_PRODUCER_ID, 0, string(None) + struct.pack(">i", 60_000))
        return reader.take(">ihqh")[1:]

    def init_producer_id(self):
        """(producer id, epoch). Apache Kafka says for a moment that it has no ids at hand."""
        deadline = time.monotonic() + 15
        while (answer := self.ask_for_producer_id())[0] == COORDINATOR_LOAD_IN_PROGRESS and time.monotonic() < deadline:
            time.sleep(0.05)
        assert answer[0] == NONE
        return answer[1:]
