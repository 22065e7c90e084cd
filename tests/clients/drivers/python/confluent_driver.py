"""confluent-kafka (librdkafka)."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from driver import main, pause_seconds, record_to_json
from group import say, say_assigned, say_record, until_closed

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
        if pause := pause_seconds(job):
            producer.poll(pause)
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


def group(bootstrap, spec):
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": spec["group"],
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": 1000,
    }
    if spec["instance"]:
        settings["group.instance.id"] = spec["instance"]
    if spec["assignment"] == "consumer":
        settings["group.protocol"] = "consumer"
    else:
        strategy = {"range": "range", "cooperative": "cooperative-sticky"}[spec["assignment"]]
        settings |= {"partition.assignment.strategy": strategy, "session.timeout.ms": spec["session_ms"], "heartbeat.interval.ms": 500}
    consumer = Consumer(settings)
    owned = set()
    # The offsets to commit: named, since librdkafka by itself commits no offset that is not above the last one, as after a seek.
    read = {}

    def assigned(_, partitions):
        owned.update((one.topic, one.partition) for one in partitions)
        say_assigned(owned)

    def revoked(_, partitions):
        gone = {(one.topic, one.partition) for one in partitions}
        owned.difference_update(gone)
        for one in gone:
            read.pop(one, None)
        say_assigned(owned)

    consumer.subscribe(spec["topics"], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    for command in until_closed():
        if command:
            obey(consumer, command)
            say("done", command=command[0])
        for message in consumer.consume(500, timeout=0.1):
            if message.error() is not None:
                if message.error().fatal():
                    raise RuntimeError(message.error())
                print(message.error(), file=sys.stderr)
                continue
            say_record(message.topic(), message.partition(), message.offset(), message.value())
            read[message.topic(), message.partition()] = message.offset() + 1
        if read:
            try:
                consumer.commit(offsets=[TopicPartition(*where, offset) for where, offset in read.items()], asynchronous=False)
            except KafkaException as error:
                print(error, file=sys.stderr)
            else:
                read.clear()
                say("committed")
    consumer.close()


def obey(consumer, command):
    verb, arguments = command[0], command[1:]
    if verb == "pause":
        consumer.pause(consumer.assignment())
    elif verb == "resume":
        consumer.resume(consumer.assignment())
    elif verb == "seek":
        consumer.seek(TopicPartition(arguments[0], int(arguments[1]), int(arguments[2])))
    elif verb == "seek-to-time":
        consumer.seek(consumer.offsets_for_times([TopicPartition(arguments[0], int(arguments[1]), int(arguments[2]))], SECONDS)[0])


main(produce, consume, group)
