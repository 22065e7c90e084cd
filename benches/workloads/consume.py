"""Workloads that consume: C1 to C6."""

import collections
import os
import random
import subprocess
import threading
import time

from common import fresh_topic, gaps, percentile, Report, send
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer
from kafka.conn import BrokerConnection
from kafka.errors import KafkaConnectionError

TOPIC = "consume-test"
COUNT = 5000
PARTITIONS = 3


def produce_messages(bootstrap, count, during=None, **settings):
    """Sends `Message {i}` one after the other; gives each record's place, and counts what was refused."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, **settings)
    futures = []
    for number in range(count):
        if during and number == count // 2:
            during()
        futures.append(producer.send(TOPIC, f"Message {number}".encode()))
        if during:
            # Slow enough that a change of leaders falls into the run.
            time.sleep(0.001)
    producer.flush(timeout=120)
    places, errors = [], collections.Counter()
    for future in futures:
        try:
            ack = future.get(timeout=60)
            places.append((ack.partition, ack.offset))
        except Exception as error:
            errors[type(error).__name__] += 1
    producer.close()
    return places, dict(errors)


def trace_fetches(consumer, fetches):
    """Notes of each fetch answer how long it took, and from which partitions it brought records."""
    fetcher = consumer._fetcher
    handle = fetcher._handle_fetch_response

    def traced(node, offsets, sent, response):
        with_records = [
            (topic, data[0]) for topic, partitions in response.topics for data in partitions if data[-1]
        ]
        fetches.append({"node": node, "seconds": time.time() - sent, "with_records": with_records})
        return handle(node, offsets, sent, response)

    fetcher._handle_fetch_response = traced


def consume(bootstrap, count, consumer_timeout_ms, max_poll_records, fetches):
    """Reads with kafka-python in a group until `count` records came, or nothing more for `consumer_timeout_ms`."""
    consumer = KafkaConsumer(
        TOPIC,
        bootstrap_servers=bootstrap,
        group_id=f"workload-{os.getpid()}-{time.time_ns()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=consumer_timeout_ms,
        max_poll_records=max_poll_records,
        fetch_max_wait_ms=500,
    )
    trace_fetches(consumer, fetches)
    found = {partition: [] for partition in range(PARTITIONS)}
    begun, first, seen = time.monotonic(), None, 0
    for message in consumer:
        first = first or time.monotonic()
        found[message.partition].append((message.offset, message.value))
        seen += 1
        if seen == count:
            break
    took = time.monotonic() - begun
    # Is there more than was sent?
    extra = sum(len(records) for records in consumer.poll(timeout_ms=1000).values())
    consumer.close()
    return found, took, extra


def check_messages(report, found, extra, count=COUNT):
    values = [value for records in found.values() for _, value in records]
    unique = set(values)
    expected = {f"Message {number}".encode() for number in range(count)}
    report.figure("read", len(values))
    report.check(f"{count} of {count} are read (missing: {len(expected - unique)})", expected == unique)
    report.check(f"no record twice ({len(values) - len(unique) + extra})", len(values) == len(unique) and not extra)
    report.check(f"no gap in the offsets ({gaps(found)})", gaps(found) == 0)


def run_consume(options, name, bootstrap, consumer_timeout_ms, max_poll_records):
    report = Report(name, {**vars(options), "bootstrap": bootstrap})
    fresh_topic(options.bootstrap, TOPIC, PARTITIONS, 3, 2)
    places, errors = produce_messages(bootstrap, COUNT, acks=1)
    report.figure("producer errors", errors)
    report.check("every produce is acknowledged", not errors)
    time.sleep(5)
    fetches = []
    found, took, extra = consume(bootstrap, COUNT, consumer_timeout_ms, max_poll_records, fetches)
    report.figure("seconds to read", took)
    check_messages(report, found, extra)
    return report, places, found, took, fetches


def c1(options):
    """The first broker alone as bootstrap, then all of them."""
    first = options.bootstrap.split(",")[:1]
    report = run_consume(options, "C1", first, 60_000, 500)[0]
    everywhere = run_consume(options, "C1", options.bootstrap.split(","), 60_000, 500)[0]
    report.checks += [{**check, "claim": f"all brokers as bootstrap: {check['claim']}"} for check in everywhere.checks]
    return report


def c2(options):
    report, _, _, took, _ = run_consume(options, "C2", options.bootstrap.split(",")[:1], 120_000, 5000)
    report.check("read within 5 s", took < 5)
    return report


def c3(options):
    report, places, found, _, _ = run_consume(options, "C3", options.bootstrap.split(","), 60_000, 500)
    sent = collections.Counter(partition for partition, _ in places)
    for partition, records in found.items():
        offsets = [offset for offset, _ in records]
        span = f"{min(offsets)}..{max(offsets)}" if offsets else "none"
        deviation = len(records) - COUNT / PARTITIONS
        report.figure(f"partition {partition}", f"{len(records)} records, offsets {span}, {deviation:+.2f} from the mean")
        report.check(f"partition {partition} has what the partitioner sent to it ({sent[partition]})", len(records) == sent[partition])
    return report


def c4(options):
    """Each fetch traced; one partition stays idle, which must hold up none of the others."""
    report = Report("C4", vars(options))
    fresh_topic(options.bootstrap, TOPIC, PARTITIONS, 3, 2)
    producer = KafkaProducer(bootstrap_servers=options.bootstrap.split(","), acks="all")
    for number in range(COUNT):
        producer.send(TOPIC, f"Message {number}".encode(), partition=number % (PARTITIONS - 1))
    producer.flush(timeout=60)
    producer.close()
    fetches = []
    found, took, extra = consume(options.bootstrap.split(","), COUNT, 60_000, 500, fetches)
    check_messages(report, found, extra)
    latencies = [fetch["seconds"] for fetch in fetches if fetch["with_records"]]
    if options.trace:
        for fetch in fetches:
            print(f"  node {fetch['node']}: {fetch['seconds'] * 1000:.1f} ms, records from {fetch['with_records'] or 'none'}")
    report.figure("seconds to read", took)
    report.figure("fetches with records", len(latencies))
    report.figure("p50 ms", percentile(latencies, 50) * 1000)
    report.figure("longest ms", max(latencies, default=0) * 1000)
    report.check("each fetch that brought records took less than 100 ms", latencies and max(latencies) < 0.1)
    return report


def c5(options):
    """One answer in a hundred is lost with its connection; a command given with --during changes leaders under way."""
    report = Report("C5", vars(options))
    fresh_topic(options.bootstrap, TOPIC, PARTITIONS, 3, 2)
    rng = random.Random(1)
    receive = BrokerConnection.recv
    dropped = []

    def lossy(connection):
        answers = receive(connection)
        if answers and lossy.active and rng.random() < 0.01:
            dropped.append(connection.node_id)
            for _, future in answers:
                future.failure(KafkaConnectionError("answer dropped"))
            connection.close(error=KafkaConnectionError("answer dropped"))
            return ()
        return answers

    def during():
        if options.during:
            subprocess.Popen(options.during, shell=True)

    lossy.active = True
    BrokerConnection.recv = lossy
    try:
        _, errors = produce_messages(
            options.bootstrap.split(","), COUNT, during=during, acks="all", enable_idempotence=True, retries=1000, linger_ms=1, batch_size=1000
        )
    finally:
        lossy.active = False
        BrokerConnection.recv = receive
    report.figure("answers dropped", len(dropped))
    report.figure("producer errors", errors)
    found, took, extra = consume(options.bootstrap.split(","), COUNT, 60_000, 500, [])
    report.figure("seconds to read", took)
    report.check("answers were dropped", dropped)
    check_messages(report, found, extra)
    return report


class Member(threading.Thread):
    """A group member that reads until everybody together has everything."""

    def __init__(self, options, group, seen, total):
        super().__init__()
        self.seen, self.total = seen, total
        self.values, self.assigned_after, self.partitions = [], None, set()
        self.consumer = Consumer(
            {
                "bootstrap.servers": options.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": True,
            }
        )

    def assigned(self, _, partitions):
        self.partitions = {place.partition for place in partitions}
        if partitions and self.assigned_after is None:
            self.assigned_after = time.monotonic() - self.begun

    def revoked(self, consumer, _):
        # What has been read is committed before somebody else goes on.
        try:
            consumer.commit(asynchronous=False)
        except Exception:
            pass
        self.partitions = set()

    def run(self):
        self.begun = time.monotonic()
        self.consumer.subscribe(["scale"], on_assign=self.assigned, on_revoke=self.revoked)
        deadline = time.monotonic() + 180
        while len(self.seen) < self.total() and time.monotonic() < deadline:
            for message in self.consumer.consume(1000, timeout=0.2):
                if message.error() is None:
                    place = (message.partition(), message.offset())
                    self.values.append(place)
                    self.seen.add(place)
        self.consumer.close()


def c6(options):
    report = Report("C6", vars(options))
    count = options.messages_given or 1_000_000
    fresh_topic(options.bootstrap, "scale", 12, 3, 2)
    producer = Producer({"bootstrap.servers": options.bootstrap, "acks": "all", "linger.ms": 10, "enable.idempotence": True})
    errors = collections.Counter()

    def delivered(error, _):
        if error is not None:
            errors[error.name()] += 1

    begun = time.monotonic()
    for number in range(count):
        value = str(number).encode().ljust(256, b".")
        send(producer, "scale", value, partition=number % 12, on_delivery=delivered)
        producer.poll(0)
    producer.flush(120)
    report.figure("seconds to write", time.monotonic() - begun)
    report.check("every produce is acknowledged", not errors)
    group = f"scale-{os.getpid()}-{time.time_ns()}"
    seen = set()
    members = [Member(options, group, seen, lambda: count) for _ in range(3)]
    begun = time.monotonic()
    for member in members:
        member.start()
        time.sleep(1)
    for member in members:
        member.join()
    report.figure("seconds to read", time.monotonic() - begun)
    reads = [place for member in members for place in member.values]
    report.figure("read", len(reads))
    report.figure("read by each member", [len(member.values) for member in members])
    report.check(f"every record is read ({len(seen)} of {count})", len(seen) == count)
    report.check(f"no record is read twice ({len(reads) - len(seen)})", len(reads) == len(seen))
    # The first rebalance waits a while for more members, so it is counted from the last of them.
    last_join = max(member.begun for member in members)
    waits = [member.begun + member.assigned_after - last_join for member in members if member.assigned_after is not None]
    report.figure("seconds from the last newcomer to each assignment", waits)
    report.check("everybody has partitions within 5 s of the last newcomer", len(waits) == 3 and max(waits) < 5)
    return report
