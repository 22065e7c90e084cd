"""Records that tests write and read back."""

import json
import threading
import time

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


def consume(bootstrap, topic, partitions=1, **settings):
    """[(partition, offset, value)] of all records up to the end as it is now."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True, **settings}
    consumer = Consumer(settings)
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


class Writer(threading.Thread):
    """Writes until it is stopped, through every restart."""

    words = 97

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, "log_level": 0, "reconnect.backoff.max.ms": 200}
        self.producer = Producer({**settings, "message.timeout.ms": 120_000, "queue.buffering.max.messages": 20_000})
        self.topic = topic
        self.over = threading.Event()
        self.acknowledged = 0

    def run(self):
        number = 0
        while not self.over.is_set():
            try:
                value = f'{{"number": {number}, "word": "w{number % self.words}"}}'
                self.producer.produce(self.topic, value, on_delivery=self.delivered)
                number += 1
            except BufferError:
                pass
            self.producer.poll(0)
            if number % 200 == 0:
                time.sleep(0.005)
        self.left = self.producer.flush(SECONDS)

    def delivered(self, error, _message):
        self.acknowledged += error is None

    def end(self):
        """Stops it when everything is acknowledged; gives how many that are."""
        self.over.set()
        self.join()
        assert self.left == 0 and self.acknowledged > 0
        return self.acknowledged
