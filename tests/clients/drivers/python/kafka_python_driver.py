"""kafka-python, any release from 2.0 on."""

import sys
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from driver import main, pause_seconds, record_to_json
from group import say, say_assigned, say_record, subscription, until_closed

SECONDS = 60


def produce(bootstrap, job):
    # Release 2.0 does not try again by itself; one request at a time, so that what is sent again stays in order.
    options = {"enable_idempotence": True} if job["idempotent"] else {"retries": 1000, "max_in_flight_requests_per_connection": 1}
    if not job["idempotent"] and "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG:
        options["enable_idempotence"] = False
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        acks=job["acks"],
        compression_type=None if job["codec"] == "none" else job["codec"],
        linger_ms=20,
        **options,
    )
    futures = []
    for record in job["records"]:
        futures.append(
            producer.send(
                job["topic"],
                key=record["key"],
                value=record["value"],
                headers=record["headers"],
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
            )
        )
        if job.get("one_by_one"):
            producer.flush(timeout=SECONDS)
        if pause := pause_seconds(job):
            time.sleep(pause)
    producer.flush(timeout=SECONDS)
    offsets, errors = [], []
    for future in futures:
        try:
            offset = future.get(timeout=SECONDS).offset
            offsets.append(offset if job["acks"] != 0 else None)
        except Exception as error:
            offsets.append(None)
            errors.append(repr(error))
    producer.close()
    return offsets, errors


def consume(bootstrap, topics):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", check_crcs=True)
    partitions = [TopicPartition(topic, partition) for topic in topics for partition in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    left = {partition for partition in partitions if ends[partition] > 0}
    deadline = time.monotonic() + SECONDS
    while left and time.monotonic() < deadline:
        for partition, records in consumer.poll(timeout_ms=500).items():
            for r in records:
                yield record_to_json(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
        left = {partition for partition in left if consumer.position(partition) < ends[partition]}
    consumer.close()
    if left:
        raise TimeoutError(f"not read to the end in {SECONDS} s: {sorted(left)}")


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        say_assigned(self.consumer.assignment())


def group(bootstrap, spec):
    options = {"group_instance_id": spec["instance"]} if spec["instance"] else {}
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=spec["group"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=spec["session_ms"],
        heartbeat_interval_ms=500,
        metadata_max_age_ms=1000,
        **options,
    )
    consumer.subscribe(**subscription(spec["topics"]), listener=Listener(consumer))
    printed = False
    for command in until_closed():
        if command:
            obey(consumer, command)
            say("done", command=command[0])
        # Release 3.0 loses an assignment whose answer comes just as a poll runs out of time, so polls are long.
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                say_record(record.topic, record.partition, record.offset, record.value)
                printed = True
        finish_rebalance(consumer)
        if printed:
            try:
                consumer.commit()
            except KafkaError as error:
                print(repr(error), file=sys.stderr)
            else:
                printed = False
                say("committed")
    consumer.close()


def finish_rebalance(consumer):
    """Lets the next poll go on with a rebalance that the last one had no time left to finish. From release 2.3 on the client forgets one that it
    began because its topics changed, if the time is up after it has divided the partitions and before it has its own: it would neither own
    what was added nor send heartbeats, for ever."""
    if consumer._coordinator.rejoining:
        consumer._coordinator.request_rejoin()


def obey(consumer, command):
    verb, arguments = command[0], command[1:]
    if verb == "pause":
        consumer.pause(*consumer.assignment())
    elif verb == "resume":
        consumer.resume(*consumer.assignment())
    elif verb == "seek":
        consumer.seek(TopicPartition(arguments[0], int(arguments[1])), int(arguments[2]))
    elif verb == "seek-to-time":
        partition = TopicPartition(arguments[0], int(arguments[1]))
        consumer.seek(partition, consumer.offsets_for_times({partition: int(arguments[2])})[partition].offset)


main(produce, consume, group)
