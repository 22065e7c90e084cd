"""Clients that write down what they do: idempotent producers with acks=all and unique values, consumers that read along.

Some producers are librdkafka's, some our own. librdkafka takes a batch without an answer for written when the next one of its partition is
acknowledged: an idempotent producer's batch would otherwise have been out of order. That is no proof. A leader that has never heard of a producer
takes whatever sequence comes first, Apache Kafka's as well as ours, and librdkafka has batches under way to an old and a new leader at once.
Such a send has no offset, which every acknowledgement of a broker has, that of a batch sent twice included (R-3.20); it is `info` here, and
marked `implied`.
"""

import random

from confluent_kafka import OFFSET_BEGINNING, Producer, TopicPartition

from harness import metadata
from harness.history import INFO, INVOKE, OK, POLL, SEND, outcome
from harness.loads import Load
from harness.producer import SequentialProducer
from harness.reader import read_to_end, reader

TOPIC = "history"


def key_of(partition):
    return f"{TOPIC}-{partition}"


class Workload(Load):
    def __init__(self, cluster, history, seed, partitions=3, libraries=3, own=3, rate=50):
        self.cluster, self.history, self.seed, self.partitions = cluster, history, seed, partitions
        self.leaders = []
        targets = [(self.produce, number, rate) for number in range(libraries)]
        targets += [(self.produce_alone, 200 + number, rate) for number in range(own)]
        targets += [(self.consume, 100), (self.watch_leaders,)]
        super().__init__(targets)

    def produce(self, process, rate):
        rng = random.Random(self.seed * 1000 + process)
        producer = Producer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 1,
                "log_level": 0,
                "message.timeout.ms": 30_000,
                "socket.timeout.ms": 5_000,
                "reconnect.backoff.max.ms": 500,
                "retry.backoff.max.ms": 300,
                "topic.metadata.refresh.interval.ms": 2_000,
            }
        )
        number = 0
        while not self.stopping.is_set():
            partition = rng.randrange(self.partitions)
            self.send(producer, process, partition, f"{process}.{number}")
            number += 1
            producer.poll(rng.expovariate(rate))
        producer.flush(40)

    def send(self, producer, process, partition, value):
        key = key_of(partition)

        def delivered(error, message):
            offset = message.offset() if error is None else None
            about = {"key": key, "value": value, "offset": offset, "error": error and error.name()}
            if error is None and (offset is None or offset < 0):
                self.history.add(process, SEND, INFO, **about, implied=True)
            else:
                self.history.add(process, SEND, outcome(error), **about)

        self.history.add(process, SEND, INVOKE, key=key, value=value)
        producer.produce(TOPIC, value.encode(), partition=partition, on_delivery=delivered)

    def produce_alone(self, process, rate):
        rng = random.Random(self.seed * 1000 + process)
        producer = SequentialProducer(self.cluster, self.history, process, TOPIC, key_of, rng)
        number = 0
        while not self.stopping.is_set():
            producer.send(rng.randrange(self.partitions), f"{process}.{number}")
            number += 1
            self.stopping.wait(rng.expovariate(rate))
        producer.close()

    def consume(self, process):
        consumer = reader(self.cluster.bootstrap)
        consumer.assign([TopicPartition(TOPIC, partition, OFFSET_BEGINNING) for partition in range(self.partitions)])
        while not self.stopping.is_set():
            read = {}
            for message in consumer.consume(500, timeout=0.3):
                if message.error() is None:
                    read.setdefault(key_of(message.partition()), []).append((message.offset(), message.value().decode()))
            if read:
                self.history.add(process, POLL, OK, value=read)
        consumer.close()

    def watch_leaders(self):
        """What each broker says about leaders, all the time (R3)."""
        while not self.stopping.wait(0.3):
            for node in self.cluster.nodes.values():
                if not node.running or node.paused:
                    continue
                try:
                    _, partitions, _ = metadata.ask(node, timeout=1)
                except OSError:
                    continue
                self.leaders += [(key_of(index), state.epoch, state.leader) for (topic, index), state in partitions.items() if topic == TOPIC]

    def final_read(self):
        """Every partition from its beginning to its end, by a fresh client."""
        read = read_to_end(self.cluster, {TOPIC: self.partitions})
        return {key_of(partition): records for (_, partition), records in read.items()}
