"""confluent-kafka (librdkafka): manual assignment, nothing committed."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from driver import main, record_to_json

SECONDS = 60


def produce(bootstrap, job):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": job["acks"],
            "enable.idempotence": job["idempotent"],
            "compression.type": job["codec"],
            "linger.ms": 20,
        }
    )
    offsets = [None] * len(job["records"])
    errors = []

    def delivered(index):
        def callback(error, message):
            if error is not None:
                errors.append(str(error))
            elif job["acks"] != 0:
                offsets[index] = message.offset()

        return callback

    for index, record in enumerate(job["records"]):
        producer.produce(
            job["topic"],
            key=record["key"],
            value=record["value"],
            headers=record["headers"],
            partition=record["partition"],
            timestamp=record["timestamp"] or 0,
            on_delivery=delivered(index),
        )
        if job.get("one_by_one"):
            producer.flush(SECONDS)
    unsent = producer.flush(SECONDS)
    if unsent:
        errors.append(f"not delivered in {SECONDS} s: {unsent}")
    return offsets, errors


def consume(bootstrap, topics):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    metadata = consumer.list_topics(timeout=SECONDS)
    left = {(topic, partition) for topic in topics for partition in metadata.topics[topic].partitions}
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in sorted(left)])
    deadline = time.monotonic() + SECONDS
    while left and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is not None:
            if message.error().code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
            continue
        yield record_to_json(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            message.headers() or [],
        )
    consumer.close()
    if left:
        raise TimeoutError(f"not read to the end in {SECONDS} s: {sorted(left)}")


main(produce, consume)
