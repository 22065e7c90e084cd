"""The workloads that a comparable broker once lost records in, each read back completely."""

import collections
import random
import threading
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer
from confluent_kafka import TopicPartition as Assignment
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from harness import raw_kafka as raw
from harness.clients import CLIENTS
from harness.raw_batches import batch, record
from harness.raw_kafka import Connection
from harness.records import record as spec_record

pytestmark = pytest.mark.one_node

SECONDS = 60


def read_with_kafka_python(broker, topic, partitions, **options):
    """Everything in the topic as {partition: [(offset, value)]}, in the order of arrival."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", **options)
    assigned = [TopicPartition(topic, partition) for partition in range(partitions)]
    consumer.assign(assigned)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(assigned)
    found = {partition: [] for partition in range(partitions)}
    left = sum(ends.values())
    for message in consumer:
        found[message.partition].append((message.offset, message.value))
        left -= 1
        if left == 0:
            break
    consumer.close()
    return found


def read_with_librdkafka(broker, topic, partitions):
    """The same with librdkafka, which is fast enough for many records."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "unused", "enable.auto.commit": False, "check.crcs": True}
    )
    assigned = [Assignment(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)]
    left = sum(consumer.get_watermark_offsets(partition, timeout=SECONDS)[1] for partition in assigned)
    consumer.assign(assigned)
    found = {partition: [] for partition in range(partitions)}
    deadline = time.monotonic() + SECONDS
    while left > 0 and time.monotonic() < deadline:
        for message in consumer.consume(10_000, timeout=0.5):
            assert message.error() is None, message.error()
            found[message.partition()].append((message.offset(), message.value()))
            left -= 1
    consumer.close()
    return found


def assert_gapless(found):
    for partition, records in found.items():
        assert [offset for offset, _ in records] == list(range(len(records))), f"partition {partition}"


def produce_with_kafka_python(broker, topic, values, **options):
    """Sends the values in order; gives the offsets and partitions of their acks, and fails if any was refused: flush() alone would hide that."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, **options)
    futures = [producer.send(topic, value) for value in values]
    producer.flush(timeout=SECONDS)
    acks = [future.get(timeout=SECONDS) for future in futures]
    producer.close()
    return [(ack.partition, ack.offset) for ack in acks]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("acks", [1, "all"], ids=["acks_1", "acks_all"])
def test_hundred_thousand_small_records_of_kafka_python_are_all_acknowledged_and_read_back(broker, unique, acks, record_property):
    topic = broker.create_topic(unique("bench"))
    values = [f"message-{number}".encode() for number in range(100_000)]
    started = time.monotonic()
    offsets = produce_with_kafka_python(broker, topic, values, acks=acks, batch_size=16384, linger_ms=10)
    rate = len(values) / (time.monotonic() - started)
    record_property("records_per_second", round(rate))
    print(f"kafka-python acks={acks}: {rate:.0f} records/s")
    assert sorted(offsets) == [(0, number) for number in range(len(values))]
    found = read_with_librdkafka(broker, topic, 1)
    assert_gapless(found)
    assert [value for _, value in found[0]] == values


def test_awaiting_each_record_in_sixteen_producers_loses_none(broker, unique, record_property):
    topic = broker.create_topic(unique("sync"), partitions=3)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks=1, linger_ms=0)
    per_task, tasks = 200, 16
    acked, errors = [], []

    def task(index):
        try:
            for number in range(per_task):
                value = f"{index}-{number}-".encode().ljust(256, b".")
                ack = producer.send(topic, value).get(timeout=5)
                acked.append((ack.partition, ack.offset, value))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=task, args=(index,)) for index in range(tasks)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record_property("records_per_second", round(tasks * per_task / (time.monotonic() - started)))
    producer.close()
    assert errors == []
    found = read_with_librdkafka(broker, topic, 3)
    assert_gapless(found)
    assert sorted(acked) == sorted((partition, offset, value) for partition, records in found.items() for offset, value in records)


@pytest.mark.parametrize(
    "max_poll_records,consumer_timeout_ms", [(500, 60_000), (5000, 120_000)], ids=["polls_of_500", "polls_of_5000"]
)
def test_five_thousand_messages_are_each_read_once(broker, unique, max_poll_records, consumer_timeout_ms):
    topic = broker.create_topic(unique("consume"), partitions=3)
    values = [f"Message {number}".encode() for number in range(5000)]
    acks = produce_with_kafka_python(broker, topic, values, acks=1)
    started = time.monotonic()
    found = read_with_kafka_python(
        broker, topic, 3, max_poll_records=max_poll_records, fetch_max_wait_ms=500, consumer_timeout_ms=consumer_timeout_ms
    )
    assert time.monotonic() - started < 5
    assert_gapless(found)
    assert collections.Counter(value for records in found.values() for _, value in records) == collections.Counter(values)
    # The spread over the partitions is the partitioner's, record by record, and nothing else.
    assert collections.Counter(partition for partition, _ in acks) == {partition: len(records) for partition, records in found.items()}
    by_place = {(partition, offset): value for partition, records in found.items() for offset, value in records}
    assert [by_place[ack] for ack in acks] == values


@pytest.mark.parametrize("writer", ["kafka-python-2.3", "confluent-kafka", "java", "franz-go"])
def test_batches_of_one_and_of_twenty_are_all_readable(broker, unique, tmp_path, writer):
    def job(name, one_by_one, first):
        records = [spec_record(0, b"key", f"{name} {number}".encode()) for number in range(first, first + 20)]
        return {"codec": "none", "acks": -1, "idempotent": False, "one_by_one": one_by_one, "records": records}

    topics = {name: broker.create_topic(unique(name)) for name in ("singles", "together", "mixed")}
    jobs = [
        {"topic": topics["singles"], **job("singles", True, 0)},
        {"topic": topics["together"], **job("together", False, 0)},
        {"topic": topics["mixed"], **job("mixed", True, 0)},
        {"topic": topics["mixed"], **job("mixed", False, 20)},
        {"topic": topics["mixed"], **job("mixed", True, 40)},
    ]
    for answer in CLIENTS[writer].produce(broker.bootstrap, jobs, tmp_path):
        assert answer["errors"] == []
    for reader in ("kafka-python-2.3", "confluent-kafka", "java", "franz-go"):
        read = CLIENTS[reader].consume(broker.bootstrap, list(topics.values()), tmp_path)
        for name, topic in topics.items():
            count = 60 if name == "mixed" else 20
            found = [(item["offset"], item["value"].decode()) for item in read[topic][0]]
            assert found == [(number, f"{name} {number}") for number in range(count)], (reader, name)


def test_end_offsets_are_right_the_moment_a_produce_is_acknowledged(broker, unique):
    topic = broker.create_topic(unique("ends"))
    expected = 0
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False)
    with Connection(broker) as writer, Connection(broker) as reader:
        for round_ in range(100):
            count = 1 + round_ % 7
            error, base = writer.produce(topic, 0, batch([record(delta) for delta in range(count)]), acks=1 if round_ % 2 else -1)
            assert (error, base) == (raw.NONE, expected)
            expected += count
            assert reader.list_offset(topic, 0, -1) == (raw.NONE, -1, expected)
            assert reader.list_offset(topic, 0, -2) == (raw.NONE, -1, 0)
            if round_ % 10 == 0:
                assert consumer.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): expected}
    consumer.close()


def test_128_producers_on_one_partition_leave_no_gap_and_no_overlap(broker, unique):
    topic = broker.create_topic(unique("concurrent"))
    acked, errors = [], []

    def task(index):
        rng = random.Random(index)
        try:
            with Connection(broker, timeout=SECONDS) as connection:
                for round_ in range(20):
                    values = [f"{index}-{round_}-{delta}".encode() for delta in range(rng.randint(1, 5))]
                    data = batch([record(delta, value=value) for delta, value in enumerate(values)])
                    error, base = connection.produce(topic, 0, data, acks=rng.choice([1, -1]))
                    assert error == raw.NONE
                    acked.extend((base + delta, value) for delta, value in enumerate(values))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=task, args=(index,)) for index in range(128)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = read_with_librdkafka(broker, topic, 1)
    assert_gapless(found)
    assert sorted(acked) == found[0]


@pytest.mark.timeout(180)
def test_half_a_million_records_at_acks_1_see_no_timeout(broker, unique):
    topic = broker.create_topic(unique("bulk"))
    failures = []
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "acks": 1,
            "linger.ms": 5,
            "message.timeout.ms": 30_000,
            "retries": 0,
            "queue.buffering.max.messages": 1_000_000,
        }
    )

    def delivered(error, _message):
        if error is not None:
            failures.append(str(error))

    for number in range(500_000):
        producer.produce(topic, b"%0100d" % number, on_delivery=delivered)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(SECONDS) == 0
    assert failures == []
    found = read_with_librdkafka(broker, topic, 1)
    assert_gapless(found)
    assert [int(value) for _, value in found[0]] == list(range(500_000))
