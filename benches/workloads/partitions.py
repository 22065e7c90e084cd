#!/usr/bin/env python3
"""What thousands of partitions cost three brokers: creation, a quiet cluster, restarts, the death of one broker.

    cargo build --release -p eddy
    .cache/clients/harness/bin/python benches/workloads/partitions.py
    .cache/clients/harness/bin/python benches/workloads/partitions.py --topics 10 --partitions 10 --seconds 5

Starts a cluster of its own in a temporary directory. Exit status 1 when a pass line is missed.
"""

import argparse
import os
import sys
import threading
import time

# First, as it says where `harness` is.
import own_cluster
from common import Report, admin, wait_until
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from harness import metadata
from harness.nodes import Cluster

SECONDS = 120
SETTLE_SECONDS = 10
CLIENT = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "retry.backoff.max.ms": 200}


class Partitions:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.names = [f"many-{number}" for number in range(options.topics)]
        self.places = [(name, index) for name in self.names for index in range(options.partitions)]
        parameters = {"partitions": len(self.places), "replication": 3}
        self.report = Report(f"{len(self.places)} partitions on three nodes", parameters)

    def run(self):
        self.cluster.start()
        self.create()
        self.write("first record to each, s", self.places)
        self.quiet()
        self.restart("restart", lambda node: node.stop())
        self.restart("restart after SIGKILL of all", lambda node: node.kill())
        self.fail_over()
        self.read_back()

    def create(self):
        client = admin(self.cluster.bootstrap)
        began = time.monotonic()
        topics = [NewTopic(name, self.options.partitions, 3, config={"min.insync.replicas": "2"}) for name in self.names]
        for created in client.create_topics(topics, operation_timeout=60, request_timeout=60).values():
            created.result(SECONDS)
        self.report.figure("creation answered, s", time.monotonic() - began)
        wait_until(lambda: self.whole(self.cluster.nodes.values()), "not whole", SECONDS)
        self.report.figure("created and whole, s", time.monotonic() - began)

    def whole(self, nodes):
        """Whether each of the nodes knows every partition with all its replicas in sync."""
        for node in nodes:
            partitions = self.states(node)
            if not all(place in partitions and partitions[place].whole for place in self.places):
                return False
        return True

    @staticmethod
    def states(node):
        try:
            return metadata.ask(node, timeout=5)[1]
        except OSError:
            return {}

    def producer(self):
        settings = {"bootstrap.servers": self.cluster.bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 1}
        client = Producer({**CLIENT, **settings, "message.timeout.ms": SECONDS * 1000})
        for name in self.names:
            client.list_topics(name, timeout=SECONDS)
        return client

    def write(self, label, places, client=None, began=None):
        """A record to each, with acks=all; the time until the last is acknowledged."""
        client = client or self.producer()
        began = began or time.monotonic()
        failures = []
        for name, index in places:
            client.produce(name, b"x" * 100, partition=index, on_delivery=lambda error, _: error and failures.append(error))
        left = client.flush(SECONDS)
        took = time.monotonic() - began
        self.report.figure(label, took)
        self.report.check(f"{label}: {len(places)} of {len(places)} written", not failures and left == 0)
        return took

    def quiet(self):
        time.sleep(SETTLE_SECONDS)
        nodes = self.cluster.nodes.values()
        before = [cpu_seconds(node) for node in nodes]
        time.sleep(self.options.seconds)
        cores = [(cpu_seconds(node) - used) / self.options.seconds * 100 for node, used in zip(nodes, before)]
        self.report.figure("idle, % of a core of each node", " ".join(f"{core:.1f}" for core in cores))
        self.report.figure("idle, MiB of each node", " ".join(f"{resident_mib(node):.0f}" for node in nodes))
        self.report.check("idle: at most 3 % of a core a node", max(cores) <= 3)

    def restart(self, label, stop):
        nodes = self.cluster.nodes.values()
        began = time.monotonic()
        at_once([lambda node=node: stop(node) for node in nodes])
        self.report.figure(f"{label}: stopped, s", time.monotonic() - began)
        began = time.monotonic()
        for node in nodes:
            node.start()
        wait_until(lambda: self.whole(nodes), "not whole", SECONDS)
        ready = time.monotonic() - began
        self.report.figure(f"{label}: every replica in sync, s", ready)
        self.report.check(f"{label}: whole within 5 s", ready <= 5)
        self.write(f"{label}: a record to each then takes, s", self.places)

    def fail_over(self):
        """One broker dies. Its partitions are written to at once, by a producer that knew it as their leader."""
        nodes = list(self.cluster.nodes.values())
        states = self.states(nodes[0])
        led = {node.number: [place for place in self.places if states[place].leader == node.number] for node in nodes}
        victim = max(nodes, key=lambda node: len(led[node.number]))
        if self.options.spare_controller and victim is self.cluster.controller():
            victim = next(node for node in nodes if node is not victim and led[node.number])
        others = [node for node in nodes if node is not victim]
        places = led[victim.number]
        self.report.figure("failover: partitions that the dead broker led", len(places))
        client = self.producer()
        self.write("failover: a record to each before, s", places, client)
        began = time.monotonic()
        victim.kill()
        known = threading.Thread(target=self.until_led, args=(others, places, victim.number, began))
        known.start()
        took = self.write("failover: a record to each, s", places, client, began)
        known.join()
        self.report.check("failover: every partition takes writes within 3 s", took <= 3)
        began = time.monotonic()
        victim.start()
        wait_until(lambda: self.whole(nodes), "not whole", SECONDS)
        self.report.figure("failover: back in every ISR, s after the start", time.monotonic() - began)

    def until_led(self, others, places, dead, began):
        def led():
            states = [self.states(node) for node in others]
            return all(place in said and said[place].leader not in (-1, dead) for said in states for place in places)

        wait_until(led, "no new leaders", SECONDS)
        self.report.figure("failover: the others tell of new leaders, s", time.monotonic() - began)

    def read_back(self):
        """Every partition from its beginning: as many records as its end says."""
        consumer = Consumer({**CLIENT, "bootstrap.servers": self.cluster.bootstrap, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True})
        began = time.monotonic()
        consumer.assign([TopicPartition(name, index, OFFSET_BEGINNING) for name, index in self.places])
        ended, records = set(), 0
        while len(ended) < len(self.places) and time.monotonic() < began + SECONDS:
            for message in consumer.consume(10_000, timeout=0.2):
                if message.error() is None:
                    records += 1
                else:
                    ended.add((message.topic(), message.partition()))
        consumer.close()
        self.report.figure("every partition read to its end, s", time.monotonic() - began)
        self.report.figure("records read", records)
        self.report.check("every partition can be read", len(ended) == len(self.places) and records >= 3 * len(self.places))


def cpu_seconds(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_mib(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def at_once(actions):
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own_cluster.add_options(parser)
    parser.add_argument("--topics", type=int, default=30)
    parser.add_argument("--partitions", type=int, default=100, help="of each topic")
    parser.add_argument("--seconds", type=float, default=20, help="over which the quiet cluster is measured")
    parser.add_argument("--spare-controller", action="store_true", help="the broker that dies is not the controller")
    options = parser.parse_args()
    with own_cluster.directory("partitions", options) as directory:
        cluster = Cluster(options.eddy.resolve(), directory, own_cluster.net(options))
        test = Partitions(cluster, options)
        try:
            test.run()
        finally:
            test.report.print(options.json)
            cluster.close()
    sys.exit(not test.report.passed)


if __name__ == "__main__":
    main()
