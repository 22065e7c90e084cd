#!/usr/bin/env python3
"""The longest wait of producers while brokers die, stand still, are cut off or restarted.

    cargo build --release -p eddy
    .cache/clients/harness/bin/python benches/workloads/failover.py                    every case but cut, five rounds each
    .cache/clients/harness/bin/python benches/workloads/failover.py kill --rounds 20
    sudo .cache/clients/harness/bin/python benches/workloads/failover.py cut           network namespaces

A producer a partition sends one record after the other with acks=all and idempotence (librdkafka) and notes how long each took. Three nodes
of this machine, replication factor 3, min ISR 2, session timeout 3 s. Where a broker is silent, what the producers wait for is in part their
own: they give an answer up after a second (`socket.timeout.ms`) and ask for metadata twice a second. Exit status 1 when a pass line is missed.
"""

import argparse
import statistics
import sys
import threading
import time

# First, as it says where `harness` is.
import own_cluster
from common import Report, admin
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import NewTopic
from harness.nodes import Cluster, Namespaces

SESSION_SECONDS = 3
# Silent for longer than the session.
SILENCE_SECONDS = 6
CALM_SECONDS = 1.5
# Who it is done to, and whether that is the controller.
LEADERS = (("a leader that is not the controller", False), ("a leader that is the controller", True))
PATIENCE = {"socket.timeout.ms": 1000, "request.timeout.ms": 1000, "topic.metadata.refresh.interval.ms": 500, "api.version.request.timeout.ms": 1000}


class ClosedLoop:
    """A producer for one partition. `waits` are (time of sending, seconds until the acknowledgement)."""

    def __init__(self, bootstrap, topic, partition, patience):
        settings = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 0, "log_level": 0, **patience}
        self.producer = Producer(settings)
        self.topic, self.partition = topic, partition
        self.waits, self.errors = [], []
        self.sent = None
        self.stopping = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        done = []
        while not self.stopping:
            done.clear()
            self.sent = time.monotonic()
            self.producer.produce(self.topic, b"x" * 100, partition=self.partition, on_delivery=lambda error, _: done.append(error))
            while not done:
                self.producer.poll(0.5)
            self.waits.append((self.sent, time.monotonic() - self.sent))
            if done[0] is not None:
                self.errors.append(done[0])
            # The measured machine is small.
            time.sleep(0.002)

    def stop(self):
        self.stopping = True
        self.thread.join()

    def longest_since(self, began):
        """The longest wait that ended after `began`, one that still lasts included."""
        longest = max((took for sent, took in self.waits if sent + took >= began), default=0)
        return max(longest, time.monotonic() - self.sent)


class Failover:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options

    def topic(self, name, leaders):
        """One partition a leader, each replicated to all."""
        assignment = [[leader, *(number for number in (1, 2, 3) if number != leader)] for leader in leaders]
        topic = NewTopic(name, len(leaders), replica_assignment=assignment, config={"min.insync.replicas": "2"})
        client = admin(self.cluster.bootstrap)
        client.create_topics([topic], operation_timeout=20)[name].result(60)
        self.cluster.wait_until_whole()
        return name

    def measure(self, report, label, fault, patience=None, leaders=lambda _: (1, 2, 3), mend=lambda _: None):
        """Rounds of: whole, calm, a fault, calm again. Gives the longest wait of each round, and the errors."""
        longest, errors = [], []
        for number in range(self.options.rounds):
            self.cluster.wait_until_whole()
            topic = self.topic(f"{report.name}-{label}-{number}".replace(" ", "-"), leaders(number))
            loops = [ClosedLoop(self.cluster.bootstrap, topic, index, patience or {}) for index in range(len(leaders(number)))]
            try:
                time.sleep(CALM_SECONDS)
                began = time.monotonic()
                fault(topic, report)
                time.sleep(CALM_SECONDS)
                deadline = time.monotonic() + 30
                while any(time.monotonic() - loop.sent > 1 for loop in loops) and time.monotonic() < deadline:
                    time.sleep(0.05)
                longest.append(max(loop.longest_since(began) for loop in loops))
                mend(topic)
            finally:
                for loop in loops:
                    loop.stop()
                    errors += loop.errors
            print(f"    {report.name}, {label}, round {number + 1}: longest wait {longest[-1]:.3f} s, errors {len(errors)}", flush=True)
        report.figure(f"{label}: longest wait a round, s", " ".join(f"{wait:.2f}" for wait in longest))
        report.figure(f"{label}: median and worst, s", f"{statistics.median(longest):.2f} {max(longest):.2f}")
        report.check(f"{label}: no error reaches the producers ({len(errors)}: {errors[:1]})", not errors)
        return longest

    def leader(self, topic, partition=0):
        return self.cluster.leader_of(topic, partition)

    def by_controller(self, is_controller):
        """Leaders of a round: one partition, led by the controller or not."""

        def leaders(_):
            controller = self.cluster.controller().number
            return (controller if is_controller else controller % 3 + 1,)

        return leaders

    def kill(self):
        """SIGKILL of a leader."""
        report = Report("kill", {"rounds": self.options.rounds})
        dead = []

        def fault(topic, _):
            dead.append(self.leader(topic))
            dead[-1].kill()

        def mend(_):
            dead.pop().start()

        for label, is_controller in LEADERS:
            longest = self.measure(report, label, fault, leaders=self.by_controller(is_controller), mend=mend)
            report.check(f"{label}: median at most 0.7 s, worst at most 2 s", statistics.median(longest) <= 0.7 and max(longest) <= 2)
        return report

    def pause(self):
        """SIGSTOP of a leader, for longer than its session."""
        report = Report("pause", {"rounds": self.options.rounds, "client": PATIENCE})

        def fault(topic, _):
            leader = self.leader(topic)
            leader.pause()
            time.sleep(SILENCE_SECONDS)
            leader.resume()

        for label, is_controller in LEADERS:
            longest = self.measure(report, label, fault, patience=PATIENCE, leaders=self.by_controller(is_controller))
            report.check(f"{label}: at most the session and a second", max(longest) <= SESSION_SECONDS + 1)
        return report

    def cut(self):
        """A leader that nobody reaches, and that reaches nobody."""
        report = Report("cut", {"rounds": self.options.rounds, "client": PATIENCE})

        def fault(topic, _):
            leader = self.leader(topic).number
            for other in {0, 1, 2, 3} - {leader}:
                self.cluster.net.cut(leader, other)
                self.cluster.net.cut(other, leader)
            time.sleep(SILENCE_SECONDS)
            self.cluster.net.heal()

        for label, is_controller in LEADERS:
            longest = self.measure(report, label, fault, patience=PATIENCE, leaders=self.by_controller(is_controller))
            report.check(f"{label}: at most the session and a second", max(longest) <= SESSION_SECONDS + 1)
        return report

    def rolling(self):
        """SIGTERM of each broker, one after the other, each started again and in sync before the next."""
        report = Report("rolling", {"rounds": self.options.rounds})
        stops = []

        def fault(_, report):
            for node in self.cluster.nodes.values():
                began = time.monotonic()
                code = node.stop()
                stops.append(time.monotonic() - began)
                report.check(f"exit code {code}", code == 0)
                node.start()
                self.cluster.wait_until_whole()

        longest = self.measure(report, "all three", fault)
        report.figure("longest stop, s", max(stops))
        report.check("longest wait at most 0.5 s", max(longest) <= 0.5)
        return report

    def controller(self):
        """SIGKILL of the controller, which leads no partition of the topic."""
        report = Report("controller", {"rounds": self.options.rounds})
        dead, back = [], []

        def leaders(_):
            controller = self.cluster.controller().number
            return tuple(number for number in (1, 2, 3) if number != controller)

        def fault(topic, _):
            controller = self.cluster.controller()
            other = next(node for node in self.cluster.nodes.values() if node is not controller)
            client = admin(other.bootstrap)
            client.list_topics(timeout=10)
            dead.append(controller)
            began = time.monotonic()
            controller.kill()
            for attempt in range(1000):
                try:
                    name = f"{topic}-after-{attempt}"
                    client.create_topics([NewTopic(name, 1, 2)], request_timeout=5)[name].result(10)
                    break
                except KafkaException:
                    time.sleep(0.02)
            back.append(time.monotonic() - began)

        def mend(_):
            dead.pop().start()

        longest = self.measure(report, "two other brokers lead", fault, leaders=leaders, mend=mend)
        report.figure("CreateTopics answered again, s", " ".join(f"{wait:.2f}" for wait in back))
        report.check("CreateTopics is answered within 2 s", max(back) <= 2)
        report.check("longest wait of producers at most 2 s", max(longest) <= 2)
        return report


CASES = {"kill": Failover.kill, "pause": Failover.pause, "cut": Failover.cut, "rolling": Failover.rolling, "controller": Failover.controller}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all but cut when none is named")
    own_cluster.add_options(parser)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if unknown := [case for case in options.cases if case not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}")
    passed = True
    with own_cluster.directory("failover", options) as directory:
        for case in options.cases or [case for case in CASES if case != "cut"]:
            net = Namespaces() if case == "cut" else own_cluster.net(options)
            cluster = Cluster(options.eddy.resolve(), directory / case, net)
            try:
                report = CASES[case](Failover(cluster.start(), options))
            finally:
                cluster.close()
            report.print(options.json)
            passed &= report.passed
    sys.exit(not passed)


if __name__ == "__main__":
    main()
