"""Clients that read what there is, from where they are told."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


def reader(bootstrap):
    """A consumer that is assigned its partitions, starts where it is told, and checks every checksum."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "log_level": 0,
            "enable.auto.commit": False,
            "check.crcs": True,
            "auto.offset.reset": "error",
            "socket.timeout.ms": 5_000,
            "reconnect.backoff.max.ms": 500,
        }
    )


def read_to_end(cluster, topics, seconds=120):
    """{(topic, partition): [(offset, value)]} of {topic: its number of partitions}, by a fresh client, up to the ends of now."""
    consumer = reader(cluster.bootstrap)
    places = [TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, count in topics.items() for partition in range(count)]
    ends = {(place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=30)[1] for place in places}
    consumer.assign(places)
    read = {place: [] for place in ends}
    left = {place for place, end in ends.items() if end > 0}
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        for message in consumer.consume(10_000, timeout=0.2):
            if message.error() is None:
                place = message.topic(), message.partition()
                read[place].append((message.offset(), message.value().decode()))
                if message.offset() + 1 >= ends[place]:
                    left.discard(place)
    consumer.close()
    return read
