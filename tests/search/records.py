"""Records that tests write and read back."""

import json

from confluent_kafka import Consumer, Producer, TopicPartition

SECONDS = 120


def produce(bootstrap, topic, values, partition=None, **settings):
    """Writes values (bytes, text, or what becomes JSON), and returns when all are acknowledged: [(partition, offset)] in their order."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all", "queue.buffering.max.messages": 200_000, **settings})
    places = []

    def delivered(index):
        def note(error, message):
            assert error is None, error
            places[index] = (message.partition(), message.offset())

        return note

    where = {} if partition is None else {"partition": partition}
    for index, value in enumerate(values):
        places.append(None)
        if not isinstance(value, (bytes, str)) and value is not None:
            value = json.dumps(value)
        while True:
            try:
                producer.produce(topic, value, on_delivery=delivered(index), **where)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(SECONDS) == 0
    return places


def consume(bootstrap, topic, partitions=1):
    """[(partition, offset, value)] of all records up to the end as it is now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found, ended = [], set()
        while len(ended) < partitions:
            for message in consumer.consume(10_000, timeout=1):
                if message.error():
                    ended.add(message.partition())
                else:
                    found.append((message.partition(), message.offset(), message.value()))
        return found
    finally:
        consumer.close()
