"""Clients that write down what they do: idempotent producers with acks=all and unique values, consumers that read along."""

import random
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer
from confluent_kafka import TopicPartition

from harness import metadata
from harness.history import INVOKE, OK, POLL, SEND, outcome

TOPIC = "history"


def key_of(partition):
    return f"{TOPIC}-{partition}"


class Workload:
    def __init__(self, cluster, history, seed, partitions=3, producers=4, rate=50):
        self.cluster, self.history, self.seed, self.partitions = cluster, history, seed, partitions
        self.stopping = threading.Event()
        self.leaders = []
        self.threads = [threading.Thread(target=self.produce, args=(number, rate)) for number in range(producers)]
        self.threads += [threading.Thread(target=self.consume, args=(100,)), threading.Thread(target=self.watch_leaders)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

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
            self.history.add(process, SEND, outcome(error), **about)

        self.history.add(process, SEND, INVOKE, key=key, value=value)
        producer.produce(TOPIC, value.encode(), partition=partition, on_delivery=delivered)

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
                    _, partitions, _ = metadata.ask(node.address, timeout=1)
                except (OSError, IndexError):
                    continue
                self.leaders += [(key_of(index), state.epoch, state.leader) for (topic, index), state in partitions.items() if topic == TOPIC]

    def final_read(self, seconds=60):
        """Every partition from its beginning to its end, by a fresh client."""
        consumer = reader(self.cluster.bootstrap)
        places = [TopicPartition(TOPIC, partition, OFFSET_BEGINNING) for partition in range(self.partitions)]
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=30)[1] for place in places}
        consumer.assign(places)
        final = {key_of(partition): [] for partition in range(self.partitions)}
        deadline = time.monotonic() + seconds
        while any(len(final[key_of(partition)]) < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                break
            for message in consumer.consume(5_000, timeout=0.5):
                if message.error() is None:
                    final[key_of(message.partition())].append((message.offset(), message.value().decode()))
        consumer.close()
        return final


def reader(bootstrap):
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
