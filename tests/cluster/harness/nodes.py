"""Three brokers as processes: started, stopped, killed, paused, robbed of their disks. On loopback, or each in a network namespace."""

import os
import re
import shutil
import signal
import subprocess
import time

from harness import metadata, metrics, segments
from harness.ports import free_port

SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.num.partitions": "3",
    "auto.leader.rebalance.enable": "false",
}
MEMBERS = re.compile(r'eddy_raft_members\{.*role="(\w+)"')
START_SECONDS = 60
STOP_SECONDS = 60
WHOLE_SECONDS = 90


class Loopback:
    """No links to cut: all processes share one."""

    can_cut = False

    def __init__(self):
        self.ports = {number: [free_port() for _ in range(3)] for number in (1, 2, 3)}

    def address(self, number):
        return "127.0.0.1"

    def prefix(self, number):
        return []

    def heal(self):
        pass

    def close(self):
        pass


class FixedPorts(Loopback):
    """Loopback with nine ports in a row."""

    def __init__(self, first):
        self.ports = {number: [first + 3 * (number - 1) + each for each in range(3)] for number in (1, 2, 3)}


class Namespaces:
    """One network namespace a broker on a bridge; the clients are on the bridge itself (number 0). A direction is cut by a wrong
    neighbour entry, so frames vanish in silence. Needs root and iproute2."""

    can_cut = True
    NOBODY = "02:00:00:00:00:99"

    def __init__(self):
        self.tag = f"e{os.getpid() % 100_000}"
        self.net = f"10.{os.getpid() % 200 + 20}.7"
        self.ports = {number: [9092, 9644, 9344] for number in (1, 2, 3)}
        self.cuts = set()
        self.ip("link", "add", self.bridge, "type", "bridge")
        self.ip("addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        self.ip("link", "set", self.bridge, "up")
        for number in (1, 2, 3):
            space, link = self.space(number), f"{self.tag}v{number}"
            self.ip("netns", "add", space)
            self.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            self.ip("link", "set", link, "master", self.bridge, "up")
            self.ip("-n", space, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            self.ip("-n", space, "link", "set", "eth0", "up")
            self.ip("-n", space, "link", "set", "lo", "up")

    @property
    def bridge(self):
        return f"{self.tag}br"

    def space(self, number):
        return f"{self.tag}n{number}"

    def address(self, number):
        return f"{self.net}.{10 + number}" if number else f"{self.net}.1"

    def prefix(self, number):
        return ["ip", "netns", "exec", self.space(number)]

    @staticmethod
    def ip(*arguments, check=True):
        subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)

    def neighbour(self, source, action, target, *rest, check=True):
        where = ["-n", self.space(source)] if source else []
        device = "eth0" if source else self.bridge
        self.ip(*where, "neigh", action, self.address(target), *rest, "dev", device, check=check)

    def cut(self, source, target):
        """What `source` sends to `target` gets lost."""
        self.neighbour(source, "replace", target, "lladdr", self.NOBODY, "nud", "permanent")
        self.cuts.add((source, target))

    def heal(self):
        for source, target in self.cuts:
            self.neighbour(source, "del", target, check=False)
        self.cuts.clear()

    def close(self):
        for number in (1, 2, 3):
            self.ip("netns", "del", self.space(number), check=False)
        self.ip("link", "del", self.bridge, check=False)


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.directory = cluster.directory / f"node-{number}"
        self.log_path = cluster.directory / f"node-{number}.log"
        self.process, self.paused, self.starts = None, False, 0

    @property
    def host(self):
        return self.cluster.net.address(self.number)

    @property
    def port(self):
        return self.cluster.net.ports[self.number][0]

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def admin(self):
        return self.host, self.cluster.net.ports[self.number][1]

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def command(self):
        net = self.cluster.net
        host, (kafka, admin, peers) = net.address(self.number), net.ports[self.number]
        seeds = ",".join(f"{number}@{net.address(number)}:{net.ports[number][2]}" for number in (1, 2, 3))
        settings = {
            "node.id": self.number,
            "listeners.kafka": f"{host}:{kafka}",
            "listeners.admin": f"{host}:{admin}",
            "cluster.listen": f"{host}:{peers}",
            "cluster.seeds": seeds,
            **SETTINGS,
            **self.cluster.settings,
        }
        flags = [flag for key, value in settings.items() for flag in ("--set", f"{key}={value}")]
        return [*net.prefix(self.number), self.cluster.binary, "serve", "--data-dir", str(self.directory), *flags]

    def start(self):
        if self.running:
            return
        self.starts += 1
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EDDY")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        self.paused = False

    def kill(self):
        if self.running:
            self.process.kill()
            self.process.wait()
        self.paused = False

    def stop(self):
        """A clean stop. Gives the exit code."""
        if not self.running:
            return None
        self.resume()
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return "killed after it did not stop"

    def pause(self):
        if self.running:
            self.process.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self):
        if self.running and self.paused:
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def wipe(self):
        """An empty disk in the place of the old one."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Cluster:
    def __init__(self, binary, directory, net=None, settings=None):
        self.binary, self.directory, self.settings = str(binary), directory, settings or {}
        directory.mkdir(parents=True, exist_ok=True)
        self.net = net or Loopback()
        self.nodes = {number: Node(self, number) for number in (1, 2, 3)}

    @property
    def bootstrap(self):
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self):
        for node in self.nodes.values():
            node.start()
        self.wait_until_whole(START_SECONDS)
        return self

    def described(self):
        """What the first broker says that answers; None when nobody does."""
        for node in self.nodes.values():
            if node.running and not node.paused:
                try:
                    return metadata.ask(node, timeout=3)
                except OSError:
                    continue
        return None

    def leader_of(self, topic, partition=0):
        said = self.described()
        state = said and said[1].get((topic, partition))
        return self.nodes.get(state.leader) if state else None

    def controller(self):
        said = self.described()
        return self.nodes.get(said[2]) if said else None

    def incomplete(self):
        """Why the cluster is not whole; None when every broker knows every broker, votes, and has every replica in sync."""
        for number, node in self.nodes.items():
            if not node.running:
                code = node.process and node.process.returncode
                return f"node {number} does not run (exit code {code})"
        if reason := metadata.incomplete(self.nodes.values()):
            return reason
        # A broker with a new disk votes a little later than it follows; the one that it was has its vote until then. Were another one
        # lost meanwhile, so were the majority.
        for number, node in self.nodes.items():
            try:
                members = [(found[1], value) for _, series, value in metrics.samples(*node.admin) if (found := MEMBERS.match(series))]
            except OSError as error:
                return f"node {number} does not answer: {error!r}"
            if sorted(members) != [("learner", 0), ("voter", len(self.nodes))]:
                return f"node {number} knows of these members of the metadata group: {members}"
        return None

    def wait_until_whole(self, seconds=WHOLE_SECONDS):
        deadline = time.monotonic() + seconds
        while reason := self.incomplete():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not whole after {seconds} s: {reason}")
            time.sleep(0.2)

    def heal(self):
        self.net.heal()
        for node in self.nodes.values():
            node.resume()
            node.start()

    def replica_logs(self, topic):
        """{key: {broker: [Batch]}} of a stopped cluster. Directories are named by topic id and partition, equal on all brokers."""
        logs = {}
        for number, node in self.nodes.items():
            for directory in (node.directory / "partitions").iterdir():
                if directory.name.rsplit("-", 1)[0] == topic:
                    logs.setdefault(directory.name, {})[number] = segments.batches(directory)
        return logs

    def close(self):
        for node in self.nodes.values():
            node.resume()
            node.kill()
        self.net.close()
