"""A broker as a process: Eddyline, Apache Kafka to compare with, or one that is already running."""

import ctypes
import http.client
import os
import signal
import subprocess
import time

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from harness import paths
from harness.ports import free_port
from harness.raw_kafka import Connection

START_SECONDS = 60
STOP_SECONDS = 30
TOPIC_SECONDS = 20
EARLIEST = -2
# Groups come to rest sooner than by default.
GROUP_SETTINGS = {
    "group.initial.rebalance.delay.ms": "100",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.consumer.min.session.timeout.ms": "6000",
}


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def end_with_parent():
    """Run in a new process: it is killed when the tests end, even when they end by a signal."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """What the tests ask of any broker. `host` is where clients connect, `listen` the address the listener is configured with."""

    kind = "external"
    # The most the resident set may grow over a test of bad input; None where the number would say nothing.
    rss_growth_bytes = None
    # What the process exits with after SIGTERM.
    clean_exit = 0
    # The replicas of each topic, and how many of them a record is on before it is acknowledged to all.
    replicas = 1
    min_in_sync = 1

    def __init__(self, host, port):
        self.host, self.port = host, port

    @property
    def bootstrap(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def create_topic(self, name, partitions=1, **config):
        """Creates a topic and waits until the leader of each partition answers: Kafka's metadata shows leaders that do not know it yet."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        config = {key.replace("_", "."): value for key, value in config.items()}
        new = NewTopic(name, num_partitions=partitions, replication_factor=self.replicas, config=config)
        admin.create_topics([new])[name].result(TOPIC_SECONDS)
        self.wait_for_leaders(name, partitions)
        return name

    def delete_topic(self, name):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.delete_topics([name])[name].result(TOPIC_SECONDS)

    def wait_for_leaders(self, name, partitions):
        deadline = time.monotonic() + TOPIC_SECONDS
        with Connection(self) as connection:
            while any(connection.list_offset(name, partition, EARLIEST)[0] != 0 for partition in range(partitions)):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"topic has no leaders after {TOPIC_SECONDS} s: {name}")
                time.sleep(0.01)

    def leader_of(self, topic, partition=0):
        """The broker to connect to by hand for a partition."""
        return self

    def node(self, number):
        """The broker with this id."""
        return self

    def grow_topic(self, name, partitions):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_partitions([NewPartitions(name, partitions)])[name].result(TOPIC_SECONDS)

    def start(self):
        pytest.skip("needs a broker that the tests may start")

    def stop(self):
        pytest.skip("needs a broker that the tests may stop")

    kill = stop

    def log_tail(self, lines=40):
        return ""


class LocalBroker(Broker):
    """A broker that the tests start in a directory of its own and may stop and kill."""

    def __init__(self, directory, listen="127.0.0.1", host=None, settings=None, number=1):
        host = host or listen
        super().__init__(host, free_port(host))
        # The port on which brokers of a cluster meet each other.
        self.peer_port = free_port()
        self.number = number
        self.listen = listen
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = settings or {}
        self.process = None

    def listener(self):
        return f"[{self.listen}]:{self.port}" if ":" in self.listen else f"{self.listen}:{self.port}"

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        raise NotImplementedError

    def start(self):
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self):
        """Starts the process, and does not wait for it."""
        with open(self.directory / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                # The broker takes every EDDY_ variable for a setting of its own.
                env={name: value for name, value in os.environ.items() if not name.startswith("EDDY_")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with {self.process.returncode} at start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"{self.kind} not ready after {START_SECONDS} s:\n{self.log_tail()}")
            time.sleep(0.01)

    def stop(self):
        """Stops with SIGTERM and gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def log_tail(self, lines=40):
        log = self.directory / "broker.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


class Eddy(LocalBroker):
    kind = "eddy"
    rss_growth_bytes = 64 << 20

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.admin_port = free_port()

    def command(self):
        settings = {
            "listeners.kafka": self.listener(),
            "listeners.admin": f"127.0.0.1:{self.admin_port}",
            "node.id": str(self.number),
            **GROUP_SETTINGS,
            **self.settings,
        }
        return [str(paths.EDDY), "serve", "--data-dir", str(self.directory / "data")] + [
            part for key, value in settings.items() for part in ("--set", f"{key}={value}")
        ]

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Kafka(LocalBroker):
    """Apache Kafka, a combined node: what the tests expect is what it does."""

    kind = "kafka"
    clean_exit = 143

    def command(self):
        properties = self.directory / "server.properties"
        if not properties.exists():
            settings = {
                "process.roles": "broker,controller",
                "node.id": str(self.number),
                "controller.quorum.voters": f"{self.number}@127.0.0.1:{self.peer_port}",
                "listeners": f"PLAINTEXT://{self.listener()},CONTROLLER://127.0.0.1:{self.peer_port}",
                "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
                "controller.listener.names": "CONTROLLER",
                "log.dirs": self.directory / "data",
                "offsets.topic.replication.factor": "1",
                "transaction.state.log.replication.factor": "1",
                "transaction.state.log.min.isr": "1",
                **GROUP_SETTINGS,
                **self.settings,
            }
            properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
            format_storage = paths.java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties))
            subprocess.run(format_storage, check=True, capture_output=True)
        return paths.java("kafka.Kafka", str(properties), heap="1g")

    def is_ready(self):
        try:
            AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=5)
            return True
        except Exception:
            return False


KINDS = {kind.kind: kind for kind in (Eddy, Kafka)}
