"""What the workloads share: topics, percentiles, pass lines, reading back."""

import json
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS = 60


class Report:
    """The figures of one workload and the lines that it has to pass."""

    def __init__(self, name, parameters):
        self.name = name
        self.figures = {}
        self.checks = []
        self.parameters = parameters

    def figure(self, name, value):
        self.figures[name] = round(value, 3) if isinstance(value, float) else value

    def check(self, claim, passed):
        self.checks.append({"claim": claim, "passed": bool(passed)})

    @property
    def passed(self):
        return all(check["passed"] for check in self.checks)

    def print(self, as_json):
        if as_json:
            print(json.dumps({"workload": self.name, "parameters": self.parameters, "figures": self.figures, "checks": self.checks, "passed": self.passed}), flush=True)
            return
        print(f"{self.name}: {'passed' if self.passed else 'FAILED'}")
        for name, value in self.figures.items():
            print(f"  {name:<34} {value}")
        for check in self.checks:
            print(f"  {'pass' if check['passed'] else 'FAIL'}  {check['claim']}", flush=True)


def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


def fresh_topic(bootstrap, name, partitions, replication, min_insync):
    """A topic of that name and nothing in it; waits until every partition has a leader and all replicas are in sync."""
    client = admin(bootstrap)
    client.list_topics(timeout=SECONDS)
    replication = min(replication, len(client.list_topics(timeout=SECONDS).brokers))
    if name in client.list_topics(timeout=SECONDS).topics:
        client.delete_topics([name])[name].result(SECONDS)
        wait_until(lambda: name not in client.list_topics(timeout=SECONDS).topics, f"topic {name} is still there")
    config = {"min.insync.replicas": str(min(min_insync, replication))}
    client.create_topics([NewTopic(name, partitions, replication, config=config)])[name].result(SECONDS)

    def ready():
        topic = client.list_topics(name, timeout=SECONDS).topics[name]
        return len(topic.partitions) == partitions and all(
            partition.leader >= 0 and len(partition.isrs) == replication for partition in topic.partitions.values()
        )

    wait_until(ready, f"topic {name} is not ready")
    return name


def wait_until(holds, otherwise, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} after {seconds} s")
        time.sleep(0.05)


def send(producer, topic, value, **options):
    """`produce` that waits while the queue is full."""
    while True:
        try:
            return producer.produce(topic, value, **options)
        except BufferError:
            producer.poll(0.05)


def percentile(values, percent):
    """In the unit of the values; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def read_back(bootstrap, topic, partitions, expected):
    """Every record of the topic: {partition: [(offset, value)]}, read by an independent client until it has `expected` records or nothing
    more comes. What acks=1 acknowledged can be read a moment later, when the other replicas have it."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False, "check.crcs": True})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found = {partition: [] for partition in range(partitions)}
    last = time.monotonic()
    while time.monotonic() < last + 15 and sum(len(records) for records in found.values()) < expected:
        for message in consumer.consume(10_000, timeout=1):
            if message.error() is None:
                found[message.partition()].append((message.offset(), message.value()))
                last = time.monotonic()
    consumer.close()
    return found


def gaps(found):
    """Offsets that are missing between the records that were read."""
    missing = 0
    for records in found.values():
        offsets = [offset for offset, _ in records]
        if offsets:
            missing += offsets[-1] + 1 - len(set(offsets))
    return missing


def check_read_back(report, found, acked, exactly):
    """Nothing acknowledged is missing. With `exactly`, nothing is there twice or unasked either."""
    values = [value for records in found.values() for _, value in records]
    lost = len(set(acked) - set(values))
    report.figure("read back", len(values))
    report.figure("lost", lost)
    report.check(f"no acknowledged record is lost (lost: {lost})", lost == 0)
    report.check(f"no gap in the offsets (gaps: {gaps(found)})", gaps(found) == 0)
    if exactly:
        report.check(f"no record twice ({len(values) - len(set(values))})", len(values) == len(set(values)))
