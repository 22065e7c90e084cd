"""Three brokers that are one cluster, started, stopped and killed one by one."""

import shutil
import time

from harness import metadata
from harness.broker import TOPIC_SECONDS, Broker, Eddy, Kafka
from harness.raw_kafka import NOBODY, Connection

NODES = 3
# How long a broker that came back may take until it has caught up with everything.
WHOLE_SECONDS = 90
LATEST = -1
SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "6",
    # A dead broker is given up after the same time by either kind; Kafka's default is three times as long.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Leaders move when a test says so.
    "auto.leader.rebalance.enable": "false",
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}


class Cluster(Broker):
    """As a broker it is its first node: clients bootstrap through that one alone."""

    replicas = 3
    min_in_sync = 2

    def __init__(self, kind, directory):
        self.node_kind, self.kind, self.clean_exit = kind, kind.kind, kind.clean_exit
        self.directory = directory
        self.generation = 0
        self.nodes = []

    host = property(lambda self: self.nodes[0].host)
    port = property(lambda self: self.nodes[0].port)

    def node(self, number):
        return self.nodes[number - 1]

    def start(self):
        self.generation += 1
        self.nodes = [
            self.node_kind(self.directory / f"{self.generation}" / f"node-{number}", number=number) for number in range(1, NODES + 1)
        ]
        for node in self.nodes:
            node.settings = {**SETTINGS, "broker.rack": rack_of(node.number), **PEERS[self.node_kind](self.nodes, node)}
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()
        self.wait_until_whole()
        return self

    def renew(self):
        """Another cluster in the place of one that a test left broken."""
        self.close()
        shutil.rmtree(self.directory / f"{self.generation}", ignore_errors=True)
        return self.start()

    def close(self):
        for node in self.nodes:
            node.close()

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def described(self, topics=None):
        """What the first node that answers says: (brokers, {(topic, partition): State})."""
        for node in self.alive():
            try:
                return metadata.ask(node, topics)[:2]
            except OSError:
                continue
        return [], {}

    def leader_of(self, topic, partition=0):
        deadline = time.monotonic() + TOPIC_SECONDS
        while time.monotonic() < deadline:
            leader = self.described([topic])[1].get((topic, partition), NOBODY).leader
            if leader > 0:
                return self.node(leader)
            time.sleep(0.05)
        raise TimeoutError(f"no leader after {TOPIC_SECONDS} s: {topic}-{partition}")

    def wait_for_leaders(self, name, partitions):
        """Waits until every broker has heard of the topic, too: any of them is asked for it."""
        deadline = time.monotonic() + TOPIC_SECONDS
        while not (self.known_everywhere(name, partitions) and self.ends(name, partitions) is not None):
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic is not led after {TOPIC_SECONDS} s: {name}: {self.described([name])}")
            time.sleep(0.02)

    def known_everywhere(self, name, partitions):
        for node in self.alive():
            with Connection(node) as connection:
                error, found = connection.describe([name])[2][name]
            if error or len(found) != partitions or any(state.leader < 0 for state in found.values()):
                return False
        return True

    def ends(self, topic, partitions):
        """The end of each partition as its leader says; None when one of them has nobody to say it."""
        found = []
        _, states = self.described([topic])
        for partition in range(partitions):
            leader = states.get((topic, partition), NOBODY).leader
            if leader < 1:
                return None
            try:
                with Connection(self.node(leader)) as connection:
                    error, _, end = connection.list_offset(topic, partition, LATEST)
            except OSError:
                return None
            if error:
                return None
            found.append(end)
        return found

    def wait_until_whole(self, seconds=WHOLE_SECONDS):
        deadline = time.monotonic() + seconds
        while reason := metadata.incomplete(self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not whole after {seconds} s: {reason}\n{self.log_tail()}")
            time.sleep(0.1)
        return self

    def restart_while(self, number, busy):
        """Stops and starts a broker while `busy()`, at least once: each stop is clean, and everything is in sync before the next. Not for a thread
        of its own: brokers end with the thread that started them."""
        going_on = True
        while going_on:
            code = self.node(number).stop()
            assert code == self.clean_exit, f"broker {number} ended with {code}"
            self.node(number).start()
            self.wait_until_whole()
            time.sleep(0.5)
            going_on = busy()

    def mend(self):
        """Makes the cluster whole for the next test, whatever the last one left."""
        try:
            for node in self.nodes:
                if node.process.poll() is not None:
                    node.launch()
            return self.wait_until_whole()
        except TimeoutError:
            return self.renew()

    def log_tail(self, lines=40):
        return "\n".join(f"== node {node.number}\n{node.log_tail(lines)}" for node in self.nodes)


def rack_of(number):
    return f"rack-{number}"


def eddy_peers(nodes, node):
    seeds = ",".join(f"{other.number}@127.0.0.1:{other.peer_port}" for other in nodes)
    return {"cluster.listen": f"127.0.0.1:{node.peer_port}", "cluster.seeds": seeds}


def kafka_peers(nodes, _node):
    return {
        "controller.quorum.voters": ",".join(f"{other.number}@127.0.0.1:{other.peer_port}" for other in nodes),
        "inter.broker.listener.name": "PLAINTEXT",
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
        "share.coordinator.state.topic.replication.factor": "3",
        "share.coordinator.state.topic.min.isr": "2",
        "transaction.state.log.num.partitions": "6",
        # A throttle is the mean over so many seconds, less one; over the ten of the default a short move would not meet it.
        "replication.quota.window.num": "2",
    }


PEERS = {Eddy: eddy_peers, Kafka: kafka_peers}
