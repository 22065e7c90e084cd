"""Who is compared: this broker, Apache Kafka as it is and with a flush a message, and brokers that somebody else has started."""

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KAFKA_POM = REPOSITORY / "tests" / "clients" / "drivers" / "java"
KAFKA_LIBRARIES = REPOSITORY / ".cache" / "clients" / "java" / "libs"
START_SECONDS = 60
STOP_SECONDS = 60
# ApiVersions version 0, correlation id 1, no client id.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class Gone(Exception):
    """A broker ended, or never answered."""


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


def proc(pid, file):
    return Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")


class Processes:
    """What the brokers' processes on this machine have used. Figures of all of them together, unless they say otherwise."""

    pids = ()

    def cpu_seconds(self):
        ticks = sum(sum(map(int, proc(pid, "stat").rpartition(")")[2].split()[11:13])) for pid in self.pids)
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        """The mean of the nodes."""
        lines = [line for pid in self.pids for line in proc(pid, "status").splitlines() if line.startswith("VmRSS")]
        return sum(int(line.split()[1]) for line in lines) / 1024 / max(1, len(self.pids))

    def written_mib(self):
        """What went to the disk, as far as the kernel knows who wrote it."""
        lines = [line for pid in self.pids for line in proc(pid, "io").splitlines() if line.startswith("write_bytes")]
        return sum(int(line.split()[1]) for line in lines) / 1048576


class Remote(Processes):
    """Brokers that run already."""

    nodes = 1

    def __init__(self, name, bootstrap, pids):
        self.name, self.bootstrap, self.pids = name, bootstrap, pids


class Broker(Processes):
    """A lone broker, or a cluster of several nodes, in a directory of its own."""

    name = ""

    def __init__(self, directory, nodes=1):
        self.directory, self.nodes = Path(directory), nodes
        self.ports = [free_port() for _ in range(nodes)]
        self.processes = []
        self.directory.mkdir(parents=True)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    @property
    def pids(self):
        return [process.pid for process in self.processes]

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
                    raise Gone(f"{self.name} ended with {process.returncode}: see {self.directory}/*/broker.log")
                if time.monotonic() - began > START_SECONDS:
                    raise Gone(f"{self.name} does not answer: see {self.directory}/*/broker.log")
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


class Eddy(Broker):
    name = "eddy"
    binary = REPOSITORY / "target" / "release" / "eddy"
    profile = "high"

    def __init__(self, directory, nodes=1):
        super().__init__(directory, nodes)
        self.internal = [free_port() for _ in range(nodes)]
        self.admin = [free_port() for _ in range(nodes)]

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
    """Combined nodes, with the collector of Kafka's own start script and its heap. It acknowledges from the page cache."""

    name = "kafka"
    more = {}

    def __init__(self, directory, nodes=1):
        super().__init__(directory, nodes)
        self.controllers = [free_port() for _ in range(nodes)]

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
                **self.more,
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
        """Through Maven (JDK 17 or later and mvn are needed), with the versions of the tests' pom.xml."""
        if not any(KAFKA_LIBRARIES.glob("kafka_*.jar")):
            copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={KAFKA_LIBRARIES}"]
            subprocess.run(copy, cwd=KAFKA_POM, check=True)


class FlushingKafka(Kafka):
    """Kafka that syncs every message to the disk before it acknowledges it."""

    name = "kafka-flush"
    more = {"log.flush.interval.messages": "1"}


KINDS = {kind.name: kind for kind in (Eddy, Kafka, FlushingKafka)}
