"""Loads beside the recorded history, each with a topic and a ledger of its own: what was acknowledged, and where."""

import random
import threading
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness.checker import Violation, check_history
from harness.history import OK, SEND, History
from harness.producer import SequentialProducer
from harness.reader import read_to_end


def create(cluster, topic, partitions, replicas=3):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    topic = NewTopic(topic, partitions, replicas, config={"min.insync.replicas": str(min(2, replicas))})
    admin.create_topics([topic], operation_timeout=30)[topic.topic].result(60)


class Load:
    """Threads that run until `stop`, which fails when one of them has ended by an error."""

    def __init__(self, targets):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=target, daemon=True) for target in targets]
        self.errors = []

    def run(self, target, *arguments):
        try:
            target(*arguments)
        except Exception as error:
            self.errors.append(error)

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise AssertionError(f"a client has ended by {self.errors!r}") from self.errors[0]


class Awaited(Load):
    """Many producers of one batch in flight each, without a pause between them."""

    def __init__(self, cluster, topic, partitions, producers, seed):
        self.cluster, self.topic, self.partitions, self.seed = cluster, topic, partitions, seed
        create(cluster, topic, partitions)
        self.history = History()
        super().__init__([(self.produce, number) for number in range(producers)])

    def key_of(self, partition):
        return f"{self.topic}-{partition}"

    def produce(self, process):
        rng = random.Random(self.seed * 1000 + process)
        producer = SequentialProducer(self.cluster, self.history, process, self.topic, self.key_of, rng)
        number = 0
        while not self.stopping.is_set():
            producer.send(rng.randrange(self.partitions), f"{process}.{number}")
            number += 1
        producer.close()

    def acknowledged(self):
        return sum(event["f"] == SEND and event["type"] == OK for event in self.history.events)

    def verify(self):
        read = read_to_end(self.cluster, {self.topic: self.partitions})
        return check_history(self.history.events, {self.key_of(partition): records for (_, partition), records in read.items()})


class Pipelined(Load):
    """One producer of librdkafka with acks=all, batches of 16 KiB after 10 ms at the latest, 5 in flight, snappy; not idempotent, so
    that a record may be there twice."""

    def __init__(self, cluster, topic, partitions, rate=2_000):
        self.cluster, self.topic, self.partitions, self.rate = cluster, topic, partitions, rate
        create(cluster, topic, partitions)
        self.places, self.failed = {}, 0
        super().__init__([(self.produce,)])

    def produce(self):
        settings = {"acks": "all", "linger.ms": 10, "batch.size": 16_384, "compression.type": "snappy", "log_level": 0}
        settings |= {"max.in.flight.requests.per.connection": 5, "message.timeout.ms": 30_000, "reconnect.backoff.max.ms": 500}
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap, **settings})

        def delivered(error, message):
            if error is None:
                self.places[message.partition(), message.offset()] = message.value().decode()
            else:
                self.failed += 1

        number, began = 0, time.monotonic()
        while not self.stopping.is_set():
            while number < (time.monotonic() - began) * self.rate and len(producer) < 50_000:
                producer.produce(self.topic, f"message-{number}".encode(), partition=number % self.partitions, on_delivery=delivered)
                number += 1
            producer.poll(0.005)
        producer.flush(60)

    def acknowledged(self):
        return len(self.places)

    def verify(self):
        read = {partition: dict(records) for (_, partition), records in read_to_end(self.cluster, {self.topic: self.partitions}).items()}
        for (partition, offset), value in self.places.items():
            if (there := read[partition].get(offset)) != value:
                yield Violation("L1", f"{value} acknowledged at {self.topic}-{partition}@{offset}, there is {there}")
