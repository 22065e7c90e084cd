"""The matrix: what is measured, and what the ratio to Apache Kafka shall be."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from contenders import Kafka
from figures import Target

WARM_UP_SECONDS = 1
# A Kafka that answers may not have registered all of its nodes yet, nor know on all of them what was just created.
SETTLE_SECONDS = 3
CATCH_UP_RECORDS = 1 << 20
MIXED_JOIN_SECONDS = 8
# More than 50 consumers get of Kafka here: with less they would all get what there is.
TAIL_RECORDS_A_SECOND = 32_000
PERF_RECORDS_A_SECOND = 100_000


class Failed(Exception):
    """A load generator said no."""


@dataclass(frozen=True)
class Case:
    """`prepare` is done once a contender, `run` each round and gives the figures of it. A `topic` is named where the load generator has one of
    its own."""

    name: str
    title: str
    run: Callable
    targets: tuple = ()
    prepare: Callable = lambda turn: None
    nodes: int = 1
    flush_too: bool = False
    topic: str | None = None


@dataclass(frozen=True)
class Turn:
    """One contender's turn: its broker, the load generator, how long, and a topic that nobody else uses."""

    broker: object
    generator: str
    seconds: float
    topic: str

    def eddy(self, *arguments):
        command = [self.generator, *arguments, "-b", self.broker.bootstrap]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{self.broker.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def create(self, partitions):
        self.eddy("topic", "create", self.topic, "-p", str(partitions), "--if-not-exists", "-q")
        if self.broker.nodes > 1:
            time.sleep(SETTLE_SECONDS)

    def delete(self):
        self.eddy("topic", "delete", self.topic, "--yes", "--if-exists", "-q")

    @property
    def course(self):
        return ["--duration", f"{self.seconds}s", "--warm-up", f"{WARM_UP_SECONDS}s"]

    def bench_command(self, *arguments):
        pids = ["--pid", ",".join(map(str, self.broker.pids))] if self.broker.pids else []
        return [self.generator, "bench", *arguments, *pids, "-o", "json", "-q", "-b", self.broker.bootstrap]

    def bench(self, kind, *arguments):
        """Runs a command of `eddy bench` on the topic; gives its report as figures."""
        written = self.broker.written_mib()
        command = self.bench_command(kind, self.topic, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{self.broker.name}: {' '.join(command)}: {done.stderr.strip()}")
        figures = figures_of(json.loads(done.stdout))
        if self.broker.pids:
            figures |= {"resident_mib": self.broker.resident_mib(), "written_mib": self.broker.written_mib() - written}
        return figures


def figures_of(report):
    kept = {key: report[key] for key in ("records_per_second", "megabytes_per_second", "p50_ms", "p99_ms", "client_cores")}
    if "end_to_end" in report:
        kept |= {key: report["end_to_end"][key] for key in ("p50_ms", "p99_ms")}
    if report.get("broker_cores") is not None and report["records_per_second"]:
        kept["broker_us_per_record"] = report["broker_cores"] * 1e6 / report["records_per_second"]
        kept["broker_cpu_s_per_gb"] = report["broker_cores"] * 1e3 / report["megabytes_per_second"]
    return kept


def load(kind, *arguments):
    """A case's `run` that is one command of `eddy bench`."""
    return lambda turn: turn.bench(kind, *arguments, *turn.course)


def topic_of(partitions):
    return lambda turn: turn.create(partitions)


def fill(turn):
    turn.create(1)
    turn.bench("produce", "--clients", "1", "--in-flight", "16", "--number", str(CATCH_UP_RECORDS))


def tail(turn):
    """What 50 consumers get of what is written meanwhile. The broker's CPU has the writing in it."""
    produce = ["--rate", str(TAIL_RECORDS_A_SECOND), "--linger", "5ms", "--record-size", "1024", "--clients", "4"]
    writer = subprocess.Popen(
        turn.bench_command("produce", turn.topic, *produce, "--duration", f"{turn.seconds + 2 * WARM_UP_SECONDS + 1}s", "--warm-up", "0s"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    try:
        return turn.bench("consume", "--tail", "--clients", "50", *turn.course)
    finally:
        said = writer.communicate()[1]
        if writer.returncode != 0:
            raise Failed(f"{turn.broker.name}: {said.strip()}")


def mixed(turn):
    """Closed-loop producers while a group reads along."""
    reader = subprocess.Popen(
        turn.bench_command("consume", turn.topic, "--clients", "50", "--group", turn.topic, "--duration", f"{turn.seconds + MIXED_JOIN_SECONDS}s", "--warm-up", "0s"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    time.sleep(MIXED_JOIN_SECONDS)
    try:
        return turn.bench("produce", "--clients", "200", "--in-flight", "1", "--record-size", "256", *turn.course)
    finally:
        said = reader.communicate()[1]
        if reader.returncode != 0:
            raise Failed(f"{turn.broker.name}: {said.strip()}")


PERF_LINE = re.compile(r"([\d.]+) records/sec \(([\d.]+) MB/sec\).* ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th")


def perf_test(turn):
    """Kafka's own load generator: does it see what ours sees?"""
    properties = [f"bootstrap.servers={turn.broker.bootstrap}", "acks=all", "linger.ms=5", "batch.size=16384"]
    count = str(int(PERF_RECORDS_A_SECOND * turn.seconds))
    command = Kafka.java(
        "org.apache.kafka.tools.ProducerPerformance",
        "--topic", turn.topic, "--num-records", count, "--record-size", "1024", "--throughput", "-1", "--producer-props", *properties,
    )
    before, began = turn.broker.cpu_seconds(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = PERF_LINE.findall(done.stdout)
    if done.returncode != 0 or not found:
        raise Failed(f"{turn.broker.name}: kafka-producer-perf-test: {done.stdout[-300:]}{done.stderr[-300:]}")
    rate, mebibytes, p50, p99 = map(float, found[-1])
    used = turn.broker.cpu_seconds() - before
    figures = {"records_per_second": rate, "megabytes_per_second": mebibytes * 1.048576, "p50_ms": p50, "p99_ms": p99}
    if turn.broker.pids:
        figures["broker_cpu_s_per_gb"] = used / (float(count) * 1024 / 1e9)
    return figures | {"seconds": time.monotonic() - began}


CLOSED = ("--in-flight", "1", "--clients", "128", "--record-size", "256")
CASES = [
    Case(
        "closed-loop", "128 closed-loop producers, 256 B, acks=all", load("produce", *CLOSED), prepare=topic_of(16), flush_too=True,
        targets=(Target("records_per_second", 2.5), Target("p99_ms", 1 / 3), Target("broker_us_per_record", 1 / 5)),
    ),
    Case(
        "one-client", "one closed-loop producer, 256 B, acks=1",
        load("produce", "--in-flight", "1", "--clients", "1", "--record-size", "256", "--acks", "1"), prepare=topic_of(1), flush_too=True,
        targets=(Target("p50_ms", 2), Target("records_per_second", 2, "kafka-flush")),
    ),
    Case(
        "pipelined-256", "pipelined, 256 B in batches of 16 KiB", load("produce", "--record-size", "256"), prepare=topic_of(16),
        targets=(Target("records_per_second", 1.3), Target("broker_cpu_s_per_gb", 1 / 2)),
    ),
    Case(
        "pipelined-100", "pipelined, 100 B in batches of 16 KiB", load("produce", "--record-size", "100"), prepare=topic_of(16),
        targets=(Target("records_per_second", 1.3), Target("broker_cpu_s_per_gb", 1 / 2)),
    ),
    Case(
        "pipelined-1k", "pipelined, 1 KiB in batches of 16 KiB", load("produce"), prepare=topic_of(16),
        targets=(Target("megabytes_per_second", 1.2), Target("broker_cpu_s_per_gb", 1.2, None), Target("resident_mib", 1 / 3)),
    ),
    Case(
        "perf-test", "the same by kafka-producer-perf-test, linger 5 ms", perf_test, prepare=topic_of(16),
        targets=(Target("megabytes_per_second", 1.2),),
    ),
    Case(
        "open-loop", "open loop, 10,000/s of 256 B, acks=all", load("produce", "--rate", "10000", "--record-size", "256", "--clients", "16"),
        prepare=topic_of(16), flush_too=True, targets=(Target("p99_ms", 1),),
    ),
    Case(
        "end-to-end", "end to end, one partition, 1,000/s of 256 B", load("e2e", "--rate", "1000", "--record-size", "256", "--clients", "1"),
        prepare=topic_of(1), targets=(Target("p99_ms", 1),),
    ),
    Case(
        "catch-up", "one consumer reads a GiB from the start", load("consume", "--repeat"), prepare=fill,
        targets=(Target("megabytes_per_second", 1), Target("broker_cpu_s_per_gb", 1)),
    ),
    Case(
        "tail", "50 consumers of 33 MB/s as it is written", tail, prepare=topic_of(4),
        targets=(Target("megabytes_per_second", 1), Target("broker_cpu_s_per_gb", 1)),
    ),
    Case(
        "mixed", "1,000 partitions, 200 closed-loop producers, a group of 50", mixed, prepare=topic_of(1000),
        targets=(Target("records_per_second", 2), Target("p99_ms", 1)),
    ),
    Case(
        "3-closed-loop", "three nodes: 128 closed-loop producers, 256 B, acks=all", load("produce", *CLOSED), prepare=topic_of(16), nodes=3,
        targets=(Target("records_per_second", 4), Target("p99_ms", 1 / 5)),
    ),
    Case(
        "3-one-client", "three nodes: one closed-loop producer, 256 B, acks=all", load("produce", "--in-flight", "1", "--clients", "1", "--record-size", "256"),
        prepare=topic_of(1), nodes=3, targets=(Target("records_per_second", 3),),
    ),
    Case(
        "3-pipelined-14", "three nodes: pipelined, 14 B, snappy", load("produce", "--record-size", "14", "--codec", "snappy"), prepare=topic_of(16), nodes=3,
        targets=(Target("records_per_second", 1.3),),
    ),
    Case(
        "3-pipelined-1k", "three nodes: pipelined, 1 KiB", load("produce"), prepare=topic_of(16), nodes=3,
        targets=(Target("megabytes_per_second", 1.3),),
    ),
    Case(
        "3-open-loop", "three nodes: open loop, 5,000/s of 256 B", load("produce", "--rate", "5000", "--record-size", "256", "--clients", "16"),
        prepare=topic_of(16), nodes=3, targets=(Target("p99_ms", 1 / 4),),
    ),
]
