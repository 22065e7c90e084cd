"""Whatever arrives on the Kafka port ends in an error code or a closed connection, and the broker goes on as if nothing had been.

The codes are those of Apache Kafka 4.3. Where it answers UNKNOWN_SERVER_ERROR (-1) or nothing at all, any refusal does.
"""

import gzip
import socket
import struct
import time

import pytest
import zstandard
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from harness import raw_kafka as raw
from harness.raw_batches import GZIP, LZ4, SNAPPY, ZSTD, batch, message_set, record
from harness.raw_kafka import Closed, Connection
from harness.raw_wire import array, bytes_, string, varint

pytestmark = pytest.mark.one_node

REFUSED = "refused"
MEBIBYTE = 1 << 20


def assert_serves(broker, topic):
    """A normal client writes and reads ten records."""
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(10):
        producer.produce(topic, str(number).encode(), partition=0)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    read = [message.value() for message in consumer.consume(10, timeout=20)]
    consumer.close()
    assert read == [str(number).encode() for number in range(10)]


@pytest.fixture
def unharmed(broker, unique):
    """The shared broker; after the test it must still serve, and hold little more memory than before."""
    assert_serves(broker, broker.create_topic(unique("before")))
    before = broker.rss_bytes() if broker.rss_growth_bytes else 0
    yield broker
    assert_serves(broker, broker.create_topic(unique("after")))
    if broker.rss_growth_bytes:
        assert broker.rss_bytes() - before < broker.rss_growth_bytes


@pytest.fixture
def topic(unharmed, unique):
    return unharmed.create_topic(unique("bad-input"))


FRAMES = {
    "zero_length": struct.pack(">i", 0),
    "negative_length": struct.pack(">i", -1),
    "most_negative_length": struct.pack(">i", -(2**31)),
    "length_over_the_limit": struct.pack(">i", 100 * MEBIBYTE + 1) + b"x" * 1000,
    "largest_length": struct.pack(">i", 2**31 - 1) + b"x" * 1000,
    "frame_shorter_than_a_header": struct.pack(">i", 3) + b"abc",
    "http_request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls_client_hello": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 200,
    "random_bytes": bytes((17 * i + 151) % 256 for i in range(4096)),
}


# A broker may tell a browser or a TLS client in its own protocol that it has come to the wrong port.
MAY_BE_ANSWERED = ("http_request", "tls_client_hello")


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_that_is_none_closes_the_connection(unharmed, frame):
    with Connection(unharmed) as connection:
        connection.send_raw(FRAMES[frame])
        answer = connection.drain()
        assert answer == b"" or frame in MAY_BE_ANSWERED


REQUESTS = {
    "unknown_api_key": (999, 0, b""),
    "negative_api_key": (-1, 0, b""),
    "removed_api_leader_and_isr": (4, 0, b""),
    "version_above_the_range": (raw.METADATA, 99, b""),
    "version_below_the_range": (raw.FETCH, 0, b"\x00" * 20),
    "negative_version": (raw.METADATA, -1, b""),
    "array_longer_than_the_frame": (raw.METADATA, 4, struct.pack(">i", 2**31 - 1)),
    "array_of_minus_two": (raw.PRODUCE, 3, string(None) + struct.pack(">hi", 1, 1000) + struct.pack(">i", -2)),
    "string_longer_than_the_frame": (raw.METADATA, 4, struct.pack(">ih", 1, 32767) + b"short"),
    "records_longer_than_the_frame": (
        raw.PRODUCE,
        3,
        string(None) + struct.pack(">hi", 1, 1000) + array([string("t") + array([struct.pack(">ii", 0, 2**31 - 1)])]),
    ),
    "body_cut_short": (raw.FETCH, 4, b"\xff\xff"),
    # Header v2 of a flexible version, then a compact array that claims 2^32 - 2 topics.
    "compact_array_longer_than_the_frame": (raw.METADATA, 9, b"\x00\xff\xff\xff\xff\x0f"),
    "varint_without_end": (raw.METADATA, 9, b"\x00" + b"\xff" * 40),
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_that_cannot_be_read_closes_the_connection(unharmed, request_):
    with Connection(unharmed) as connection:
        connection.send(*REQUESTS[request_])
        assert connection.is_closed()


def test_client_id_with_a_length_that_lies_closes_the_connection(unharmed):
    with Connection(unharmed) as connection:
        connection.send_raw(struct.pack(">ihhih", 10, raw.METADATA, 4, 1, 32767))
        assert connection.is_closed()


def test_api_versions_of_an_unknown_version_is_answered_in_v0_with_the_range_to_use(unharmed):
    with Connection(unharmed) as connection:
        error, apis = connection.api_versions(99)
        assert error == raw.UNSUPPORTED_VERSION
        assert apis[raw.API_VERSIONS][0] == 0
        error, apis = connection.api_versions(0)
        assert error == raw.NONE
        assert apis[raw.PRODUCE][0] == 0, "librdkafka compresses only for a broker that admits to Produce 0"


NOW = int(time.time() * 1000)
ONE = batch([record(0)])
# name: (records, acks, produce version, the code or REFUSED)
BATCHES = {
    "wrong_crc": (batch([record(0)], crc=1), 1, 3, raw.CORRUPT_MESSAGE),
    "magic_0": (batch([record(0)], magic=0), 1, 3, raw.INVALID_RECORD),
    "magic_1": (batch([record(0)], magic=1), 1, 3, raw.INVALID_RECORD),
    "magic_3": (batch([record(0)], magic=3), 1, 3, raw.CORRUPT_MESSAGE),
    "magic_minus_1": (batch([record(0)], magic=-1), 1, 3, raw.CORRUPT_MESSAGE),
    "message_set_v0": (message_set(0), 1, 3, raw.INVALID_RECORD),
    "message_set_v1": (message_set(1), 1, 3, raw.INVALID_RECORD),
    "no_bytes": (b"", 1, 3, raw.INVALID_RECORD),
    "null_records": (None, 1, 3, REFUSED),
    "part_of_a_header": (ONE[:40], 1, 3, raw.INVALID_RECORD),
    "ten_bytes": (b"x" * 10, 1, 3, raw.INVALID_RECORD),
    "two_batches": (ONE + ONE, 1, 3, raw.INVALID_RECORD),
    "length_beyond_the_end": (batch([record(0)], length=len(ONE) - 12 + 10), 1, 3, raw.INVALID_RECORD),
    "length_cut": (batch([record(0)], length=len(ONE) - 12 - 5), 1, 3, raw.CORRUPT_MESSAGE),
    "length_zero": (batch([record(0)], length=0), 1, 3, raw.CORRUPT_MESSAGE),
    "length_negative": (batch([record(0)], length=-1), 1, 3, raw.CORRUPT_MESSAGE),
    "length_largest": (batch([record(0)], length=2**31 - 1), 1, 3, REFUSED),
    "count_zero": (batch([], count=0), 1, 3, raw.INVALID_RECORD),
    "count_too_high": (batch([record(0)], count=5), 1, 3, raw.INVALID_RECORD),
    "count_too_low": (batch([record(0), record(1)], count=1), 1, 3, raw.INVALID_RECORD),
    "count_negative": (batch([record(0)], count=-1), 1, 3, raw.INVALID_RECORD),
    "count_largest": (batch([record(0)], count=2**31 - 1), 1, 3, raw.INVALID_RECORD),
    "last_offset_delta_too_high": (batch([record(0)], last_offset_delta=5), 1, 3, raw.INVALID_RECORD),
    "control_batch": (batch([record(0)], attributes=0x20), 1, 3, raw.INVALID_RECORD),
    "unknown_codec_5": (batch([record(0)], attributes=5), 1, 3, REFUSED),
    "unknown_codec_7": (batch([record(0)], attributes=7), 1, 3, REFUSED),
    "gzip_of_garbage": (batch(b"garbage-garbage", count=1, attributes=GZIP), 1, 3, REFUSED),
    "snappy_of_garbage": (batch(b"garbage-garbage", count=1, attributes=SNAPPY), 1, 3, REFUSED),
    "lz4_of_garbage": (batch(b"garbage-garbage", count=1, attributes=LZ4), 1, 3, REFUSED),
    "zstd_of_garbage": (batch(b"garbage-garbage", count=1, attributes=ZSTD), 1, 7, REFUSED),
    "zstd_before_produce_7": (
        batch(zstandard.compress(record(0)), count=1, attributes=ZSTD), 1, 3, raw.UNSUPPORTED_COMPRESSION_TYPE,
    ),
    "snappy_that_claims_4_gib": (batch(b"\xff\xff\xff\xff\x0f" + b"x" * 50, count=1, attributes=SNAPPY), 1, 3, REFUSED),
    "xerial_block_that_claims_2_gib": (
        batch(b"\x82SNAPPY\x00" + struct.pack(">iii", 1, 1, 2**31 - 1) + b"x" * 50, count=1, attributes=SNAPPY), 1, 3, REFUSED,
    ),
    "zstd_that_claims_2_to_62": (
        batch(b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**62) + b"x" * 50, count=1, attributes=ZSTD), 1, 7, REFUSED,
    ),
    "base_offset_of_its_own": (batch([record(0)], base_offset=5), 1, 3, raw.INVALID_RECORD),
    "over_max_message_bytes": (batch([record(0, value=b"x" * 1_100_000)]), 1, 3, raw.MESSAGE_TOO_LARGE),
    "record_of_garbage": (batch(b"\xff" * 11, count=1), 1, 3, REFUSED),
    "record_longer_than_its_batch": (batch(varint(1000) + b"\x00" * 10, count=1), 1, 3, raw.INVALID_RECORD),
    "record_of_negative_length": (batch(varint(-4) + b"\x00" * 10, count=1), 1, 3, raw.INVALID_RECORD),
    "two_hours_in_the_future": (batch([record(0)], timestamp=NOW + 7_200_000), 1, 3, 32),
    "producer_id_without_sequence": (batch([record(0)], producer=(5, 0, -1)), 1, 3, raw.INVALID_RECORD),
    "acks_2": (ONE, 2, 3, raw.INVALID_REQUIRED_ACKS),
    "acks_minus_2": (ONE, -2, 3, raw.INVALID_REQUIRED_ACKS),
}


@pytest.mark.parametrize("name", BATCHES)
def test_bad_records_are_refused_and_leave_no_trace(broker, bad_records_topic, name):
    records, acks, version, expected = BATCHES[name]
    with Connection(broker, timeout=5) as connection:
        try:
            error, base_offset = connection.produce(bad_records_topic, 0, records, acks, version)
        except (Closed, TimeoutError):
            error, base_offset = REFUSED, -1
    assert base_offset == -1
    if expected == REFUSED:
        assert error != raw.NONE
    else:
        assert error == expected


@pytest.fixture(scope="module")
def bad_records_topic(broker, unique):
    """A topic that must be empty, and a broker that must serve, once all tests with bad records have run."""
    topic = broker.create_topic(unique("bad-records"))
    before = broker.rss_bytes() if broker.rss_growth_bytes else 0
    yield topic
    with Connection(broker) as connection:
        assert connection.list_offset(topic, 0, -1) == (raw.NONE, -1, 0)
    assert_serves(broker, topic)
    if broker.rss_growth_bytes:
        assert broker.rss_bytes() - before < broker.rss_growth_bytes


@pytest.mark.parametrize("version", [0, 1, 2])
def test_produce_before_v3_closes_the_connection(unharmed, topic, version):
    with Connection(unharmed) as connection:
        entry = struct.pack(">i", 0) + bytes_(message_set(min(version, 1)))
        body = struct.pack(">hi", 1, 1000) + array([string(topic) + array([entry])])
        connection.send(raw.PRODUCE, version, body)
        assert connection.is_closed()


def zeros_in_one_record(size):
    """The start and the end of an encoded record whose value is `size` zeros."""
    head = b"\x00\x00\x00" + varint(-1) + varint(size)
    return varint(len(head) + size + 1) + head, varint(0)


def gzip_bomb(size):
    head, tail = zeros_in_one_record(size)
    return gzip.compress(head + bytes(size) + tail)


def zstd_bomb(size):
    head, tail = zeros_in_one_record(size)
    return zstandard.compress(head + bytes(size) + tail)


@pytest.mark.parametrize("codec,make,version", [(GZIP, gzip_bomb, 3), (ZSTD, zstd_bomb, 7)], ids=["gzip", "zstd"])
def test_a_small_batch_that_grows_to_256_mib_does_not_grow_the_broker(unharmed, topic, codec, make, version):
    bomb = batch(make(256 * MEBIBYTE), count=1, attributes=codec)
    assert len(bomb) < MEBIBYTE
    for _ in range(4):
        with Connection(unharmed, timeout=60) as connection:
            try:
                connection.produce(topic, 0, bomb, version=version)
            except Closed:
                pass


NAMES = {
    "empty": "",
    "dot": ".",
    "dot_dot": "..",
    "slash": "a/b",
    "traversal": "../../etc/passwd",
    "nul": "a\x00b",
    "newline": "a\nb",
    "space": "a b",
    "snowman": "☃",
    "too_long": "x" * 250,
    "percent": "a%2e",
    "colon": "a:b",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_topic_name_is_refused_everywhere(unharmed, name):
    with Connection(unharmed) as connection:
        assert connection.create_topic(NAMES[name]) == raw.INVALID_TOPIC
    with Connection(unharmed) as connection:
        _, topics = connection.metadata([NAMES[name]], auto_create=True)
        assert topics[NAMES[name]] == (raw.INVALID_TOPIC, 0)
    with Connection(unharmed) as connection:
        assert connection.produce(NAMES[name], 0, ONE) == (raw.UNKNOWN_TOPIC_OR_PARTITION, -1)
    with Connection(unharmed) as connection:
        error, _, records = connection.fetch(NAMES[name], 0, 0)
        assert (error, records or b"") == (raw.UNKNOWN_TOPIC_OR_PARTITION, b"")


def test_a_topic_name_that_is_not_utf8_is_refused(unharmed):
    with Connection(unharmed) as connection:
        connection.send(raw.METADATA, 4, struct.pack(">ih", 1, 4) + b"\xff\xfe\xfd\xfc" + b"\x01")
        try:
            connection.receive()
        except Closed:
            pass


@pytest.mark.parametrize("partition", [-1, 1, 2**31 - 1])
def test_a_partition_that_does_not_exist_is_unknown(unharmed, topic, partition):
    with Connection(unharmed) as connection:
        assert connection.produce(topic, partition, ONE) == (raw.UNKNOWN_TOPIC_OR_PARTITION, -1)
        assert connection.fetch(topic, partition, 0)[0] == raw.UNKNOWN_TOPIC_OR_PARTITION
        assert connection.list_offset(topic, partition, -1)[0] == raw.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("offset", [-5, 1, 2**62])
def test_a_fetch_outside_the_log_is_out_of_range(unharmed, topic, offset):
    with Connection(unharmed) as connection:
        error, high_watermark, records = connection.fetch(topic, 0, offset)
        assert (error, records or b"") == (raw.OFFSET_OUT_OF_RANGE, b"")


@pytest.mark.parametrize(
    "partitions,replication_factor,expected",
    [
        (0, 1, raw.INVALID_PARTITIONS),
        (-5, 1, raw.INVALID_PARTITIONS),
        (1, 0, raw.INVALID_REPLICATION_FACTOR),
        (1, 5, raw.INVALID_REPLICATION_FACTOR),
    ],
)
def test_an_impossible_topic_is_refused(unharmed, unique, partitions, replication_factor, expected):
    with Connection(unharmed) as connection:
        assert connection.create_topic(unique("impossible"), partitions, replication_factor) == expected


def test_a_topic_of_two_billion_partitions_is_refused(unharmed, unique):
    with Connection(unharmed) as connection:
        assert connection.create_topic(unique("huge"), 2**31 - 1) != raw.NONE


def test_half_a_frame_and_silence_holds_up_nobody(unharmed, topic):
    # Apache Kafka allocates what a frame claims, and 200 times 50 MiB leave it out of memory for good.
    claimed = MEBIBYTE if unharmed.kind == "kafka" else 50 * MEBIBYTE
    silent = []
    try:
        for _ in range(200):
            connection = Connection(unharmed)
            connection.send_raw(struct.pack(">i", claimed) + b"\x00\x03")
            silent.append(connection)
        started = time.monotonic()
        with Connection(unharmed) as connection:
            assert connection.produce(topic, 0, ONE)[0] == raw.NONE
        assert time.monotonic() - started < 2
    finally:
        for connection in silent:
            connection.socket.close()


def test_a_frame_in_single_bytes_is_a_frame(unharmed, topic):
    request = struct.pack(">hhi", raw.METADATA, 4, 7) + string("slow") + array([string(topic)]) + b"\x00"
    with Connection(unharmed) as connection:
        for byte in struct.pack(">i", len(request)) + request:
            connection.send_raw(bytes([byte]))
            time.sleep(0.002)
        assert connection.receive()[0] == 7


def test_a_client_that_never_reads_its_answers_stops_only_itself(unharmed, topic):
    with Connection(unharmed) as writer:
        for _ in range(8):
            assert writer.produce(topic, 0, batch([record(0, value=b"x" * 900_000)]))[0] == raw.NONE
    with Connection(unharmed) as greedy:
        greedy.socket.settimeout(0.5)
        request = string("greedy") + greedy_fetch(topic)
        frame = struct.pack(">hhi", raw.FETCH, 4, 1) + request
        try:
            for _ in range(2000):
                greedy.socket.sendall(struct.pack(">i", len(frame)) + frame)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        started = time.monotonic()
        with Connection(unharmed) as other:
            assert other.fetch(topic, 0, 0)[0] == raw.NONE
        assert time.monotonic() - started < 5


def greedy_fetch(topic):
    entry = struct.pack(">iqi", 0, 0, MEBIBYTE)
    return struct.pack(">iiiib", -1, 0, 1, 8 * MEBIBYTE, 0) + array([string(topic) + array([entry])])


@pytest.mark.timeout(120)
def test_ten_thousand_connections_come_and_go(unharmed):
    half_a_frame = struct.pack(">i", 100) + b"half"
    for number in range(10_000):
        with socket.create_connection((unharmed.host, unharmed.port), timeout=15) as connection:
            if number % 2:
                connection.sendall(half_a_frame)


def test_an_idempotent_producer_that_is_not_known_begins_with_any_sequence_and_goes_on_in_order(unharmed, topic):
    """R-3.22. What librdkafka concludes from an acknowledgement of a later batch alone (see tests/cluster/harness/workload.py) is no proof."""
    with Connection(unharmed) as connection:
        identity = connection.init_producer_id()

        def send(sequence):
            return connection.produce(topic, 0, batch([record(0)], producer=(*identity, sequence)), acks=-1)

        assert send(17) == (raw.NONE, 0)
        assert send(19)[0] == raw.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert send(18) == (raw.NONE, 1)
        assert send(17) == (raw.NONE, 0)
