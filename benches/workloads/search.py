#!/usr/bin/env python3
"""What search costs and gives: one broker of its own, a million JSON log lines of about 300 bytes.

    cargo build --release -p eddy
    .cache/clients/harness/bin/python benches/workloads/search.py                   all of it, some minutes
    .cache/clients/harness/bin/python benches/workloads/search.py index queries     parts: index queries freshness topics producers

EDDY_BIN is the binary (default: target/release/eddy). Measure on an idle machine. Prints a table of figures, what they
should be, and whether they are; exit status 1 if one is not.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "clients"), str(REPOSITORY / "tests" / "search")]

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from api import Api
from common import percentile, send
from harness import paths
from harness.broker import Eddy
from harness.waiting import wait_for

MIB = 1 << 20
WORDS = "connection reset peer timeout upstream request accepted cache miss retry session expired user order payment queue worker shard replica commit".split()
HOSTS = [f"web-{number:02}" for number in range(40)]
# Between two loads, for the disk.
SETTLE_SECONDS = 5
PARTS = ("index", "queries", "freshness", "topics", "producers")


class Figures:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bound=None, least=False):
        passed = None if bound is None else (value >= bound if least else value <= bound)
        self.rows.append((name, value, unit, bound, least, passed))
        self.show(self.rows[-1])

    @staticmethod
    def show(row):
        name, value, unit, bound, least, passed = row
        wanted = "" if bound is None else f"{'>=' if least else '<='} {bound:g}"
        verdict = {None: "", True: "pass", False: "FAIL"}[passed]
        print(f"{name:<44} {value:>12,.2f} {unit:<10} {wanted:>12}  {verdict}".rstrip(), flush=True)

    @property
    def passed(self):
        return all(row[5] is not False for row in self.rows)


def line(rng, number, now_ms):
    """A log line of about 300 bytes; `needle` is on one in 10,000."""
    message = " ".join(rng.choices(WORDS, k=14))
    if number % 10_000 == 0:
        message += " needle in haystack"
    record = {
        "time": now_ms,
        "level": rng.choices(("info", "warn", "error"), (90, 8, 2))[0],
        "host": rng.choice(HOSTS),
        "request_id": f"{rng.getrandbits(64):016x}",
        "took_ms": rng.randrange(2000),
        "status": rng.choice((200, 200, 200, 404, 500)),
        "path": f"/api/v1/{rng.choice(WORDS)}/{rng.randrange(10_000)}",
        "message": message,
    }
    return json.dumps(record, separators=(",", ":")).encode()


class Bench:
    def __init__(self, options, figures):
        self.options, self.figures = options, figures
        self.directory = Path(tempfile.mkdtemp(prefix="eddy-search-", dir=options.dir))
        self.count = 0

    def broker(self, **settings):
        self.count += 1
        broker = Eddy(self.directory / str(self.count), settings={name.replace("_", "."): value for name, value in settings.items()})
        broker.start()
        broker.api = Api(broker.admin_port)
        return broker

    def create(self, broker, name, partitions, indexed):
        config = {"search.enable": "true" if indexed else "false"}
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(60)
        broker.wait_for_leaders(name, partitions)

    def fill(self, broker, name):
        """The records, written as fast as it goes; gives their bytes."""
        rng, size, now = random.Random(1), 0, int(time.time() * 1000)
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 20, "batch.size": 500_000, "queue.buffering.max.messages": 500_000})
        failed = []
        for number in range(self.options.records):
            value = line(rng, number, now + number)
            size += len(value)
            # The timestamps of two hours, for histograms.
            stamp = now - 7_200_000 + number * 7_200_000 // self.options.records
            send(producer, name, value, timestamp=stamp, on_delivery=lambda error, _: error and failed.append(error))
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(120) == 0 and not failed, failed[:1]
        return size

    def rss(self, broker):
        """Memory that is the process's own: pages of files in the page cache are nobody's."""
        with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
            sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (text.partition(":") for text in status) if name in ("RssAnon", "VmRSS")}
        return sizes["RssAnon"]

    def index(self):
        """Indexing alone: the records are there before the topic is made searchable."""
        broker = self.broker()
        self.create(broker, "logs", 4, False)
        raw = self.fill(broker, "logs")
        self.figures.add("size of a record", raw / self.options.records, "bytes")
        before = peak = self.rss(broker)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

        change = ConfigEntry("search.enable", "true", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, "logs", incremental_configs=[change])
        cpu, began = broker.cpu_seconds(), time.monotonic()
        admin.incremental_alter_configs([resource])[resource].result(30)
        while True:
            peak = max(peak, self.rss(broker))
            if self.has_caught_up(broker, "logs", 4):
                break
            time.sleep(0.1)
        seconds = time.monotonic() - began
        self.figures.add("indexing alone", self.options.records / seconds, "records/s", 60_000, least=True)
        self.figures.add("CPU while indexing", (broker.cpu_seconds() - cpu) / seconds, "cores")
        wait_for("merges to end", lambda: self.is_quiet(broker), 120, pause=1)
        size = sum(partition["bytes"] for partition in broker.api.status("logs"))
        self.figures.add("index of the raw bytes", 100 * size / raw, "%", 40)
        self.figures.add("memory while indexing, above before", (peak - before) / MIB, "MiB", 128)
        self.figures.add("memory afterwards, above before", (self.rss(broker) - before) / MIB, "MiB", 128)
        assert broker.api.count("logs") == self.options.records
        return broker

    @staticmethod
    def is_quiet(broker):
        before = broker.cpu_seconds()
        time.sleep(1)
        return broker.cpu_seconds() - before < 0.1

    def queries(self, broker):
        own = broker is None
        if own:
            broker = self.broker()
            self.create(broker, "logs", 4, True)
            self.fill(broker, "logs")
            assert broker.api.count("logs", refresh="wait_for", timeout="300s") == self.options.records
            wait_for("merges to end", lambda: self.is_quiet(broker), 120, pause=1)
        rng = random.Random(2)
        histogram = {"size": 0, "aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}}}}
        kinds = {
            "term, rare": (lambda: {"query": {"match": {"message": "needle"}}}, 20),
            "term, one in two": (lambda: {"query": {"match": {"message": rng.choice(WORDS)}}}, 20),
            "term, an id": (lambda: {"query": {"term": {"request_id": f"{rng.getrandbits(64):016x}"}}}, 20),
            "phrase": (lambda: {"query": {"match_phrase": {"message": " ".join(rng.sample(WORDS, 2))}}}, 20),
            "phrase, rare": (lambda: {"query": {"match_phrase": {"message": "needle in haystack"}}}, 20),
            "newest 100 of a level": (lambda: {"query": {"term": {"level": "error"}}, "size": 100, "sort": [{"@timestamp": "desc"}]}, None),
            "date_histogram of all": (lambda: histogram, 100),
            "date_histogram of a query": (lambda: {**histogram, "query": {"term": {"level": "error"}}}, 100),
            "terms of all": (lambda: {"size": 0, "aggs": {"h": {"terms": {"field": "host.keyword", "size": 10}}}}, None),
        }
        for name, (body, bound) in kinds.items():
            times = []
            for round_ in range(self.options.queries + 5):
                asked = body()
                began = time.monotonic()
                broker.api.search("logs", asked)
                # The first ones open what was never read.
                if round_ >= 5:
                    times.append((time.monotonic() - began) * 1000)
            self.figures.add(f"{name}: p50", percentile(times, 50), "ms")
            self.figures.add(f"{name}: p99", percentile(times, 99), "ms", bound)
        if own:
            broker.close()

    def freshness(self):
        """From the acknowledgement of a record to the first answer that has it, while others are written."""
        broker = self.broker()
        self.create(broker, "fresh", 4, True)
        over = threading.Event()

        def others():
            rng = random.Random(3)
            producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 100_000})
            began, number = time.monotonic(), 0
            while not over.is_set():
                while number < (time.monotonic() - began) * self.options.rate:
                    producer.produce("fresh", line(rng, number, 0))
                    number += 1
                producer.poll(0.002)
            producer.flush(30)

        writer = threading.Thread(target=others)
        writer.start()
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
        ages = []
        try:
            time.sleep(3)
            deadline = time.monotonic() + self.options.seconds
            while time.monotonic() < deadline:
                mark = f"mark{random.getrandbits(48):012x}"
                producer.produce("fresh", json.dumps({"message": mark}))
                assert producer.flush(10) == 0
                began = time.monotonic()
                while not broker.api.native("fresh", f"message:{mark}", limit=1)["hits"]:
                    assert time.monotonic() < began + 30, "a record cannot be found"
                    time.sleep(0.005)
                ages.append(time.monotonic() - began)
                # Not in step with the commits.
                time.sleep(random.random() * 0.3)
        finally:
            over.set()
            writer.join()
        self.figures.add(f"freshness at {self.options.rate}/s: p50", percentile(ages, 50), "s")
        self.figures.add(f"freshness at {self.options.rate}/s: p99", percentile(ages, 99), "s", 1.5)
        broker.close()

    def topics(self):
        """Memory with many topics, without and with indexes; every one of them is written to."""
        sizes = {}
        for indexed in (False, True):
            broker = self.broker()
            names = [f"topic-{number}" for number in range(self.options.topics)]
            admin = AdminClient({"bootstrap.servers": broker.bootstrap})
            config = {"search.enable": "true" if indexed else "false"}
            for start in range(0, len(names), 200):
                made = admin.create_topics([NewTopic(name, 1, 1, config=config) for name in names[start : start + 200]])
                for done in made.values():
                    done.result(60)
            rng = random.Random(4)
            producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 100, "queue.buffering.max.messages": 200_000})
            for round_ in range(10):
                for name in names:
                    producer.produce(name, line(rng, round_, 0))
                producer.flush(60)
            if indexed:
                assert broker.api.count("topic-*", refresh="wait_for", timeout="120s") == 10 * len(names)
            time.sleep(5)
            sizes[indexed] = self.rss(broker) / MIB
            broker.close()
        self.figures.add(f"memory of {self.options.topics} topics without", sizes[False], "MiB")
        self.figures.add(f"{self.options.topics} indexed topics, above that", sizes[True] - sizes[False], "MiB", 128)

    def producers(self):
        """`eddy bench produce` against a topic without and one with an index, in turns, in another order each round."""
        found = {False: [], True: []}
        broker = self.broker()
        for round_ in range(self.options.rounds):
            for indexed in (False, True) if round_ % 2 == 0 else (True, False):
                # What the one before has left for the disk to do is not this one's.
                os.sync()
                time.sleep(SETTLE_SECONDS)
                name = f"load-{round_}-{indexed}"
                self.create(broker, name, 16, indexed)
                command = [str(paths.EDDY), "bench", "produce", name, *self.options.load.split(), "-o", "json", "-b", broker.bootstrap]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                report = json.loads(done.stdout)
                found[indexed].append(report)
                print(f"  {name}: {report['records_per_second']:,.0f} records/s, p99 {report['p99_ms']:.2f} ms", flush=True)
                if indexed:
                    began = time.monotonic()
                    wait_for("the index to catch up", lambda: self.has_caught_up(broker, name, 16), 600)
                    self.figures.add("catching up after the load", time.monotonic() - began, "s")
                    assert broker.api.count(name) == self.end(broker, name), "not every record is found"
                broker.delete_topic(name)
        rate = {indexed: percentile([report["records_per_second"] for report in reports], 50) for indexed, reports in found.items()}
        late = {indexed: percentile([report["p99_ms"] for report in reports], 50) for indexed, reports in found.items()}
        self.figures.add("producers without: rate", rate[False], "records/s")
        self.figures.add("producers with an index: rate", 100 * rate[True] / rate[False], "%", 95, least=True)
        self.figures.add("producers with an index: p99", late[True] / late[False], "times", 1.25)
        broker.close()

    @staticmethod
    def has_caught_up(broker, name, partitions):
        status = broker.api.status(name)
        return len(status) == partitions and not sum(partition["lag_records"] for partition in status)

    @staticmethod
    def end(broker, name):
        return sum(partition["high_watermark"] for partition in broker.api.status(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200, help="of each kind (200)")
    parser.add_argument("--rate", type=int, default=5000, help="records/s while freshness is measured (5000)")
    parser.add_argument("--seconds", type=float, default=30, help="of measuring freshness (30)")
    parser.add_argument("--topics", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="of producers without and with (3)")
    parser.add_argument("--load", default="", help="options of eddy bench produce, such as '--input FILE' (none)")
    parser.add_argument("--dir", help="where the brokers keep their data")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = options.parts or PARTS
    figures = Figures()
    bench = Bench(options, figures)
    try:
        broker = bench.index() if "index" in parts else None
        if "queries" in parts:
            bench.queries(broker)
        if broker:
            broker.close()
        for part in [part for part in PARTS[2:] if part in parts]:
            getattr(bench, part)()
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)
    sys.exit(not figures.passed)


if __name__ == "__main__":
    main()
