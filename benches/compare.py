#!/usr/bin/env python3
"""Runs the load of `eddy-load` against this broker and against Apache Kafka, in turn, and prints both and their ratio.

    cargo build --release -p eddy -p eddy-benches
    benches/compare.py                     every case, three runs each
    benches/compare.py closed-loop idle    some cases
    benches/compare.py --runs 5 --seconds 20

Kafka's jars come through Maven (JDK 17 or later and mvn are needed), with the versions of tests/clients/drivers/java/pom.xml, into
.cache/clients/java/libs. Both brokers keep running and take turns, so that whatever else the machine does meets both; only the one being
measured has load. Each figure is the best of its runs, for both. Kafka acknowledges from the page cache; this broker after a sync.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KAFKA_POM = REPOSITORY / "tests" / "clients" / "drivers" / "java"
KAFKA_LIBRARIES = REPOSITORY / ".cache" / "clients" / "java" / "libs"
START_SECONDS = 60
STOP_SECONDS = 60
# ApiVersions version 0, correlation id 1, no client id.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
MANY_PARTITIONS = 1000
IDLE_SECONDS = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    """Whether somebody answers ApiVersions."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(API_VERSIONS)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


class Broker:
    name = ""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.process = None
        directory.mkdir(parents=True)

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts it; gives the milliseconds from the start of the process to its first answer."""
        with open(self.directory / "broker.log", "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True
            )
        while not answers(self.port):
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}: see {self.directory}/broker.log")
            if time.monotonic() - began > START_SECONDS:
                sys.exit(f"{self.name} does not answer: see {self.directory}/broker.log")
            time.sleep(0.001)
        return (time.monotonic() - began) * 1000

    def stop(self, how=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Eddy(Broker):
    name = "eddy"
    binary = REPOSITORY / "target" / "release" / "eddy"
    profile = "high"

    def command(self):
        settings = [
            f"listeners.kafka=127.0.0.1:{self.port}",
            f"listeners.admin=127.0.0.1:{free_port()}",
            f"wal.profile={self.profile}",
        ]
        sets = [part for setting in settings for part in ("--set", setting)]
        return [str(self.binary), "serve", "--data-dir", str(self.directory / "data"), *sets]


class Kafka(Broker):
    """One combined node, with the heap and collector of Kafka's own start script."""

    name = "kafka"

    def command(self):
        properties = self.directory / "server.properties"
        if not properties.exists():
            controller = free_port()
            settings = {
                "process.roles": "broker,controller",
                "node.id": "1",
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
                "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
                "controller.listener.names": "CONTROLLER",
                "log.dirs": self.directory / "data",
                "offsets.topic.replication.factor": "1",
                "transaction.state.log.replication.factor": "1",
                "transaction.state.log.min.isr": "1",
            }
            properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
            subprocess.run(
                self.java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties)),
                check=True, capture_output=True,
            )
        return self.java("kafka.Kafka", str(properties))

    @staticmethod
    def java(main_class, *arguments):
        collector = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]
        flags = ["-server", "-Xmx1g", "-Xms1g", *collector, "-Djava.awt.headless=true"]
        return ["java", *flags, "-cp", f"{KAFKA_LIBRARIES}/*", main_class, *arguments]

    @staticmethod
    def install():
        if not any(KAFKA_LIBRARIES.glob("kafka_*.jar")):
            copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={KAFKA_LIBRARIES}"]
            subprocess.run(copy, cwd=KAFKA_POM, check=True)


class Comparison:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.brokers = []
        self.table = []

    def new_broker(self, kind, name):
        broker = kind(self.directory / f"{name}-{kind.name}")
        self.brokers.append(broker)
        return broker

    def pair(self, name):
        kinds = (Eddy,) if self.options.only_eddy else (Eddy, Kafka)
        return [self.new_broker(kind, name) for kind in kinds]

    def load(self, broker, *arguments):
        """Runs a command of eddy-load; gives what it printed."""
        command = [str(self.options.load), *arguments, "--json", "--bootstrap", f"127.0.0.1:{broker.port}"]
        environment = {**os.environ, "RUST_BACKTRACE": "0"}
        # What the other broker has left in the page cache would be written to the disk during this one's turn.
        os.sync()
        done = subprocess.run([*command, "--pid", str(broker.process.pid)], capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            sys.exit(f"{broker.name}: {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout else {}

    def alternate(self, name, arguments, figure, unit):
        """Both brokers in turn under the same load; the best run of each counts."""
        brokers = self.pair(name)
        for broker in brokers:
            broker.start()
        best = {}
        for run in range(self.options.runs):
            for broker in brokers if run % 2 == 0 else reversed(brokers):
                result = self.load(broker, *arguments)
                note = ", ".join(f"{key} {value:.2f}" for key, value in result.items() if value is not None)
                print(f"  {name}, run {run + 1}, {broker.name}: {note}; machine load {os.getloadavg()[0]:.1f}", flush=True)
                if broker.name not in best or result[figure] > best[broker.name][figure]:
                    best[broker.name] = result
        for broker in brokers:
            broker.stop()
        for key, label in ((figure, unit), ("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"), ("max_ms", "max ms"), ("broker_cores", "broker cores")):
            self.row(f"{name}, {label}", {kind: result[key] for kind, result in best.items()})

    def row(self, name, figures):
        self.table.append((name, figures.get("eddy"), figures.get("kafka")))

    def course(self):
        return ["--seconds", str(self.options.seconds), "--warm-up", str(self.options.warm_up)]

    def closed_loop(self):
        """128 producers that wait for each record's acknowledgement."""
        self.alternate(
            "closed-loop", ["closed-loop", "--clients", "128", "--bytes", "256", "--acks", "all", *self.course()],
            "records_per_second", "records/s",
        )

    def pipelined(self):
        """Batches of 16 KiB, five in flight a producer."""
        load = ["--bytes", "1024", "--batch", "16384", "--in-flight", "5", "--producers", "4", "--acks", "all"]
        self.alternate("pipelined", ["pipelined", *load, *self.course()], "megabytes_per_second", "MB/s")

    def catch_up(self):
        """One consumer reads a GiB from the start."""
        self.alternate("catch-up", ["catch-up", "--topic", "catch-up"], "megabytes_per_second", "MB/s")

    def ready(self):
        """From the start of the process to the first answer: on an empty directory, with many partitions, after SIGKILL."""
        figures = {"empty": {}, "many": {}, "killed": {}}
        for run in range(self.options.runs):
            for broker in self.pair(f"ready-{run}"):
                times = {"empty": broker.start()}
                self.load(broker, "create", "--topic", "many", "--partitions", str(MANY_PARTITIONS))
                self.load(broker, "closed-loop", "--topic", "many", "--clients", "64", "--seconds", "2", "--warm-up", "0")
                broker.stop()
                times["many"] = broker.start()
                self.load(broker, "closed-loop", "--topic", "many", "--clients", "64", "--seconds", "2", "--warm-up", "0")
                broker.stop(signal.SIGKILL)
                times["killed"] = broker.start()
                broker.stop()
                print(f"  ready, run {run + 1}, {broker.name}: {times}; machine load {os.getloadavg()[0]:.1f}", flush=True)
                for case, milliseconds in times.items():
                    figures[case][broker.name] = min(milliseconds, figures[case].get(broker.name, milliseconds))
        self.row("ready on an empty directory, ms", figures["empty"])
        self.row(f"ready with {MANY_PARTITIONS} partitions, ms", figures["many"])
        self.row(f"ready with {MANY_PARTITIONS} partitions after SIGKILL, ms", figures["killed"])

    def idle(self):
        """Memory and CPU without clients, after a start on an empty directory."""
        memory, cpu = {}, {}
        for broker in self.pair("idle"):
            broker.start()
            time.sleep(5)
            before = broker.cpu_seconds()
            time.sleep(IDLE_SECONDS)
            cpu[broker.name] = (broker.cpu_seconds() - before) / IDLE_SECONDS * 100
            memory[broker.name] = broker.resident_mib()
            broker.stop()
        self.row("idle, resident MiB", memory)
        self.row("idle, % of a core", cpu)

    def print(self):
        print(f"\n| {'':50} | {'eddy':>10} | {'kafka':>10} | {'ratio':>6} |\n|{'-' * 52}|-----------:|-----------:|-------:|")
        for name, eddy, kafka in self.table:
            number = lambda value: "" if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.2f}"
            ratio = f"{eddy / kafka:.2f}" if eddy is not None and kafka else ""
            print(f"| {name:50} | {number(eddy):>10} | {number(kafka):>10} | {ratio:>6} |")


CASES = {
    "closed-loop": Comparison.closed_loop,
    "pipelined": Comparison.pipelined,
    "catch-up": Comparison.catch_up,
    "ready": Comparison.ready,
    "idle": Comparison.idle,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; all when none is named")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary, help="the broker's binary")
    parser.add_argument("--load", type=Path, default=REPOSITORY / "target" / "release" / "eddy-load", help="the load generator's binary")
    parser.add_argument("--profile", default=Eddy.profile, help="wal.profile of eddy")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=15, help="seconds before each run; a JVM that is not warm makes any ratio look good")
    parser.add_argument("--only-eddy", action="store_true", help="leave Kafka out")
    parser.add_argument("--directory", type=Path, help="where the data goes; a temporary directory when not given")
    options = parser.parse_args()
    if unknown := [case for case in options.cases if case not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}")
    Eddy.binary, Eddy.profile = options.eddy.resolve(), options.profile
    if not options.only_eddy:
        Kafka.install()
    directory = Path(tempfile.mkdtemp(prefix="eddy-compare-", dir=options.directory))
    comparison = Comparison(options, directory)
    try:
        for case in options.cases or CASES:
            print(f"{case}: {CASES[case].__doc__}", flush=True)
            CASES[case](comparison)
        comparison.print()
    finally:
        for broker in comparison.brokers:
            broker.stop(signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
