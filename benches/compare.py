#!/usr/bin/env python3
"""Runs the load of `eddy bench` against this broker and against Apache Kafka, in turn, and prints both and their ratio.

    cargo build --release -p eddy
    benches/compare.py                     every case, three runs each
    benches/compare.py closed-loop idle    some cases
    benches/compare.py --runs 5 --seconds 20
    benches/compare.py --nodes 3           clusters of three, three replicas, two in sync at least

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
# A GiB of a KiB each.
CATCH_UP_RECORDS = 1 << 20
SETTLE_SECONDS = 8
FIGURES = ["records_per_second", "megabytes_per_second", "p50_ms", "p99_ms", "p999_ms", "max_ms", "client_cores", "broker_cores"]


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
    """A lone broker, or a cluster of several nodes."""

    name = ""
    nodes = 1

    def __init__(self, directory):
        self.directory = directory
        self.ports = [free_port() for _ in range(self.nodes)]
        self.processes = []
        directory.mkdir(parents=True)

    @property
    def port(self):
        return self.ports[0]

    @property
    def pids(self):
        return ",".join(str(process.pid) for process in self.processes)

    def command(self, node):
        raise NotImplementedError

    def home(self, node):
        home = self.directory / f"node-{node + 1}"
        home.mkdir(exist_ok=True)
        return home

    def start(self):
        """Starts every node; gives the milliseconds from the start of the processes to the first answer of the last one."""
        commands = [self.command(node) for node in range(self.nodes)]
        began = time.monotonic()
        self.processes = []
        for node, command in enumerate(commands):
            with open(self.home(node) / "broker.log", "ab") as log:
                quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
                self.processes.append(subprocess.Popen(command, cwd=self.home(node), start_new_session=True, **quiet))
        for port, process in zip(self.ports, self.processes):
            while not answers(port):
                if process.poll() is not None:
                    sys.exit(f"{self.name} ended with {process.returncode}: see {self.directory}/*/broker.log")
                if time.monotonic() - began > START_SECONDS:
                    sys.exit(f"{self.name} does not answer: see {self.directory}/*/broker.log")
                time.sleep(0.001)
        return (time.monotonic() - began) * 1000

    def stop(self, how=signal.SIGTERM):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(how)
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def resident_mib(self):
        """Of a node, in the mean."""
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                total += next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
        return total / self.nodes

    def cpu_seconds(self):
        """Of a node, in the mean."""
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
                user, system = stat.read().rpartition(")")[2].split()[11:13]
            total += int(user) + int(system)
        return total / os.sysconf("SC_CLK_TCK") / self.nodes


class Eddy(Broker):
    name = "eddy"
    binary = REPOSITORY / "target" / "release" / "eddy"
    profile = "high"

    def __init__(self, directory):
        super().__init__(directory)
        self.internal = [free_port() for _ in range(self.nodes)]
        self.admin = [free_port() for _ in range(self.nodes)]

    def command(self, node):
        settings = [
            f"listeners.kafka=127.0.0.1:{self.ports[node]}",
            f"listeners.admin=127.0.0.1:{self.admin[node]}",
            f"wal.profile={self.profile}",
        ]
        if self.nodes > 1:
            seeds = ",".join(f"{index + 1}@127.0.0.1:{port}" for index, port in enumerate(self.internal))
            settings += [f"node.id={node + 1}", f"cluster.listen=127.0.0.1:{self.internal[node]}", f"cluster.seeds={seeds}"]
            settings += ["default.replication.factor=3", "min.insync.replicas=2"]
        sets = [part for setting in settings for part in ("--set", setting)]
        return [str(self.binary), "serve", "--data-dir", str(self.home(node) / "data"), *sets]


class Kafka(Broker):
    """Combined nodes, with the collector of Kafka's own start script and its heap."""

    name = "kafka"

    def __init__(self, directory):
        super().__init__(directory)
        self.controllers = [free_port() for _ in range(self.nodes)]

    def command(self, node):
        properties = self.home(node) / "server.properties"
        if not properties.exists():
            factor = min(self.nodes, 3)
            settings = {
                "process.roles": "broker,controller",
                "node.id": str(node + 1),
                "controller.quorum.voters": ",".join(f"{index + 1}@127.0.0.1:{port}" for index, port in enumerate(self.controllers)),
                "listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]},CONTROLLER://127.0.0.1:{self.controllers[node]}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]}",
                "controller.listener.names": "CONTROLLER",
                "log.dirs": self.home(node) / "data",
                "default.replication.factor": factor,
                "min.insync.replicas": max(1, factor - 1),
                "offsets.topic.replication.factor": factor,
                "transaction.state.log.replication.factor": factor,
                "transaction.state.log.min.isr": max(1, factor - 1),
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
        """Runs a command of `eddy bench`; gives what it printed."""
        command = [str(self.options.load), "bench", *arguments, "-o", "json", "-b", f"127.0.0.1:{broker.port}", "--pid", broker.pids]
        environment = {**os.environ, "RUST_BACKTRACE": "0"}
        # What the other broker has left in the page cache would be written to the disk during this one's turn.
        os.sync()
        return json.loads(self.run(broker, command, environment))

    def create(self, broker, topic, partitions):
        """Creates a topic unless it is there."""
        command = [str(self.options.load), "topic", "create", topic, "-p", str(partitions), "--if-not-exists", "-b", f"127.0.0.1:{broker.port}"]
        self.run(broker, command, os.environ)

    @staticmethod
    def run(broker, command, environment):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            sys.exit(f"{broker.name}: {' '.join(command)}: {done.stderr}")
        return done.stdout

    def alternate(self, name, arguments, figure, unit, first=None):
        """Both brokers in turn under the same load; the best run of each counts. `first` is a load that does not."""
        brokers = self.pair(name)
        for broker in brokers:
            broker.start()
        if Broker.nodes > 1:
            # A Kafka that answers may not have registered yet.
            time.sleep(SETTLE_SECONDS)
        if first:
            for broker in brokers:
                self.load(broker, *first)
        best = {}
        for run in range(self.options.runs):
            for broker in brokers if run % 2 == 0 else reversed(brokers):
                result = self.load(broker, *arguments)
                note = ", ".join(f"{key} {result[key]:.2f}" for key in FIGURES if result.get(key) is not None)
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
        return ["--duration", f"{self.options.seconds}s", "--warm-up", f"{self.options.warm_up}s"]

    def closed_loop(self):
        """128 producers that wait for each record's acknowledgement."""
        self.alternate(
            "closed-loop", ["produce", "--in-flight", "1", "--clients", "128", "--record-size", "256", *self.course()],
            "records_per_second", "records/s",
        )

    def one_client(self):
        """One producer that waits for each record's acknowledgement."""
        self.alternate(
            "one client", ["produce", "--in-flight", "1", "--clients", "1", "--record-size", "256", *self.course()],
            "records_per_second", "records/s",
        )

    def open_loop(self):
        """5,000 records a second, whatever the answers do."""
        load = ["--rate", "5000", "--clients", "16", "--record-size", "256"]
        self.alternate("open loop", ["produce", *load, *self.course()], "records_per_second", "records/s")

    def pipelined(self):
        """Batches of 16 KiB, five in flight a producer."""
        load = ["--record-size", "1024", "--batch-size", "16384", "--in-flight", "5", "--clients", "4", "--partitions", "4"]
        self.alternate("pipelined", ["produce", *load, *self.course()], "megabytes_per_second", "MB/s")

    def catch_up(self):
        """One consumer reads a GiB from the start, again and again."""
        write = ["produce", "catch-up", "--partitions", "1", "--clients", "1", "--in-flight", "16", "--number", str(CATCH_UP_RECORDS)]
        course = ["--duration", f"{self.options.seconds}s", "--warm-up", "3s"]
        self.alternate("catch-up", ["consume", "catch-up", "--repeat", *course], "megabytes_per_second", "MB/s", first=write)

    def ready(self):
        """From the start of the process to the first answer: on an empty directory, with many partitions, after SIGKILL."""
        figures = {"empty": {}, "many": {}, "killed": {}}
        for run in range(self.options.runs):
            for broker in self.pair(f"ready-{run}"):
                times = {"empty": broker.start()}
                if Broker.nodes > 1:
                    time.sleep(SETTLE_SECONDS)
                self.create(broker, "many", MANY_PARTITIONS)
                load = ["produce", "many", "--in-flight", "1", "--clients", "64", "--record-size", "256", "--duration", "2s", "--warm-up", "0s"]
                self.load(broker, *load)
                broker.stop()
                times["many"] = broker.start()
                self.load(broker, *load)
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
    "one-client": Comparison.one_client,
    "open-loop": Comparison.open_loop,
    "pipelined": Comparison.pipelined,
    "catch-up": Comparison.catch_up,
    "ready": Comparison.ready,
    "idle": Comparison.idle,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; all when none is named")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary, help="the broker's binary")
    parser.add_argument("--load", type=Path, default=Eddy.binary, help="the binary that makes the load, when it shall be another one")
    parser.add_argument("--profile", default=Eddy.profile, help="wal.profile of eddy")
    parser.add_argument("--nodes", type=int, default=1, help="nodes of each cluster")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=15, help="seconds before each run; a JVM that is not warm makes any ratio look good")
    parser.add_argument("--only-eddy", action="store_true", help="leave Kafka out")
    parser.add_argument("--directory", type=Path, help="where the data goes; a temporary directory when not given")
    options = parser.parse_args()
    if unknown := [case for case in options.cases if case not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}")
    Broker.nodes = options.nodes
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
