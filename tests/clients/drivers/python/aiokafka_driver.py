"""aiokafka."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from driver import main, pause_seconds, record_to_json
from group import say, say_assigned, say_record, subscription, until_closed

SECONDS = 60


async def produce_async(bootstrap, job):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks=job["acks"],
        compression_type=None if job["codec"] == "none" else job["codec"],
        enable_idempotence=job["idempotent"],
        linger_ms=20,
    )
    await producer.start()
    try:
        futures = []
        for record in job["records"]:
            sent = await producer.send(
                job["topic"],
                key=record["key"],
                value=record["value"],
                headers=record["headers"],
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
            )
            futures.append(sent)
            if pause := pause_seconds(job):
                await asyncio.sleep(pause)
        results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SECONDS)
    finally:
        await producer.stop()
    errors = [repr(result) for result in results if isinstance(result, BaseException)]
    offsets = [None if result is None or isinstance(result, BaseException) or result.offset < 0 else result.offset for result in results]
    return offsets, errors


async def partitions_of(bootstrap, topics):
    """All partitions of the topics: a consumer that is not subscribed does not know them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], partition["partition"]) for topic in described for partition in topic["partitions"]]


async def consume_async(bootstrap, topics):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    read = []
    try:
        partitions = await partitions_of(bootstrap, topics)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        left = {partition for partition in partitions if ends[partition] > 0}
        deadline = time.monotonic() + SECONDS
        while left and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                read += [record_to_json(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in records]
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
        if left:
            raise TimeoutError(f"not read to the end in {SECONDS} s: {sorted(left)}")
    finally:
        await consumer.stop()
    return read


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        say_assigned(assigned)


async def group_async(bootstrap, spec):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=spec["group"],
        group_instance_id=spec["instance"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=spec["session_ms"],
        heartbeat_interval_ms=500,
        metadata_max_age_ms=1000,
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    consumer.subscribe(**subscription(spec["topics"]), listener=Listener())
    await consumer.start()
    printed = False
    for command in until_closed():
        if command:
            await obey(consumer, command)
            say("done", command=command[0])
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                say_record(record.topic, record.partition, record.offset, record.value)
                printed = True
        if printed:
            try:
                await consumer.commit()
            except KafkaError as error:
                print(repr(error), file=sys.stderr)
            else:
                printed = False
                say("committed")
    await consumer.stop()


async def obey(consumer, command):
    verb, arguments = command[0], command[1:]
    if verb == "pause":
        consumer.pause(*consumer.assignment())
    elif verb == "resume":
        consumer.resume(*consumer.assignment())
    elif verb == "seek":
        consumer.seek(TopicPartition(arguments[0], int(arguments[1])), int(arguments[2]))
    elif verb == "seek-to-time":
        partition = TopicPartition(arguments[0], int(arguments[1]))
        consumer.seek(partition, (await consumer.offsets_for_times({partition: int(arguments[2])}))[partition].offset)


main(
    lambda bootstrap, job: asyncio.run(produce_async(bootstrap, job)),
    lambda bootstrap, topics: asyncio.run(consume_async(bootstrap, topics)),
    lambda bootstrap, spec: asyncio.run(group_async(bootstrap, spec)),
)
