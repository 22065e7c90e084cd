"""What was acknowledged survives: clean stops, kills, and a corpus that goes in with one client and comes out with others."""

import hashlib
import random
import threading
import time

import pytest
from confluent_kafka import Producer

from harness import raw_batches
from harness import raw_kafka as raw
from harness.clients import CLIENTS
from harness.raw_kafka import Connection
from harness.records import PARTITIONS, record, text_lines
from test_workloads import assert_gapless, read_with_librdkafka

pytestmark = pytest.mark.one_node

CORPUS_LINES = 102_000
SECONDS = 60


def test_sigterm_is_a_clean_stop_even_with_clients_connected(own_broker):
    topic = own_broker.create_topic("stop")
    connections = [Connection(own_broker) for _ in range(50)]
    for connection in connections:
        connection.send(raw.FETCH, 4, connection.fetch_request(topic, 0, 0, max_wait_ms=10_000))
    started = time.monotonic()
    assert own_broker.stop() == own_broker.clean_exit
    assert time.monotonic() - started < 10
    for connection in connections:
        connection.socket.close()
    own_broker.start()
    with Connection(own_broker) as connection:
        assert connection.metadata([topic], auto_create=False)[1] == {topic: (raw.NONE, 1)}


def test_thousand_closed_connections_leave_no_busy_thread(own_broker):
    for number in range(1000):
        with Connection(own_broker) as connection:
            if number % 3 == 0:
                connection.send(raw.API_VERSIONS, 0)
    time.sleep(1)
    before = own_broker.cpu_seconds()
    time.sleep(3)
    assert own_broker.cpu_seconds() - before < 0.6
    assert own_broker.stop() == own_broker.clean_exit


@pytest.mark.timeout(180)
def test_reads_at_random_offsets_are_right_before_and_after_a_restart(own_broker):
    topic = own_broker.create_topic("random", segment_bytes="1048576")
    producer = Producer({"bootstrap.servers": own_broker.bootstrap, "linger.ms": 5, "batch.num.messages": 7})
    values = [b"%08d" % number + b"." * random.Random(number).randint(0, 2000) for number in range(8000)]
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(SECONDS) == 0

    def check_random_reads(seed):
        rng = random.Random(seed)
        with Connection(own_broker) as connection:
            for offset in [0, 1, len(values) - 1] + [rng.randrange(len(values)) for _ in range(200)]:
                error, high_watermark, data = connection.fetch(topic, 0, offset, max_bytes=rng.choice([1, 5_000, 300_000]))
                assert (error, high_watermark) == (raw.NONE, len(values))
                found = [item for item in raw_batches.values(data) if item[0] >= offset]
                assert found[0][0] == offset
                assert found == [(at, values[at]) for at in range(offset, offset + len(found))]

    check_random_reads(1)
    own_broker.stop()
    own_broker.start()
    check_random_reads(2)
    own_broker.kill()
    own_broker.start()
    check_random_reads(3)


@pytest.mark.timeout(240)
def test_a_corpus_comes_out_as_it_went_in_although_the_broker_was_killed(own_broker, tmp_path):
    topic = own_broker.create_topic("corpus", partitions=PARTITIONS)
    lines = [line.encode() for line in text_lines(CORPUS_LINES, seed=7)]
    for partition in range(PARTITIONS):
        records = [record(partition, None, line, timestamp=None) for line in lines[partition::PARTITIONS]]
        job = {"topic": topic, "codec": "zstd", "acks": -1, "idempotent": True, "records": records}
        [answer] = CLIENTS["kcat"].produce(own_broker.bootstrap, [job], tmp_path)
        assert answer["errors"] == []
        own_broker.kill()
        own_broker.start()
    for reader in ("java", "franz-go"):
        read = CLIENTS[reader].consume(own_broker.bootstrap, [topic], tmp_path)[topic]
        for partition in range(PARTITIONS):
            assert [item["offset"] for item in read[partition]] == list(range(len(lines[partition::PARTITIONS])))
            found = hashlib.sha256(b"\n".join(item["value"] for item in read[partition]))
            assert found.digest() == hashlib.sha256(b"\n".join(lines[partition::PARTITIONS])).digest(), (reader, partition)


@pytest.mark.timeout(240)
def test_five_kills_lose_and_repeat_nothing_of_an_idempotent_producer(own_broker):
    topic = own_broker.create_topic("killed", partitions=PARTITIONS)
    delivered, failed = {}, []
    stop = threading.Event()
    sent = 0
    producer = Producer(
        {
            "bootstrap.servers": own_broker.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            "batch.num.messages": 50,
            "delivery.timeout.ms": 120_000,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        }
    )

    def on_delivery(error, message):
        if error is not None:
            failed.append(str(error))
        else:
            delivered[int(message.value())] = (message.partition(), message.offset())

    def produce():
        nonlocal sent
        while not stop.is_set():
            try:
                producer.produce(topic, b"%d" % sent, partition=sent % PARTITIONS, on_delivery=on_delivery)
                sent += 1
            except BufferError:
                pass
            producer.poll(0.0002)

    thread = threading.Thread(target=produce)
    thread.start()
    rng = random.Random(28)
    for _ in range(5):
        acked = len(delivered)
        deadline = time.monotonic() + SECONDS
        while len(delivered) == acked and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.02, 0.8))
        own_broker.kill()
        own_broker.start()
    stop.set()
    thread.join()
    assert producer.flush(120) == 0
    assert failed == []
    assert len(delivered) == sent
    found = read_with_librdkafka(own_broker, topic, PARTITIONS)
    assert_gapless(found)
    places = {int(value): (partition, offset) for partition, records in found.items() for offset, value in records}
    assert sum(map(len, found.values())) == sent, "each record once"
    assert places == delivered
    for partition, records in found.items():
        assert [int(value) for _, value in records] == list(range(partition, sent, PARTITIONS))
