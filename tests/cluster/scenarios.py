"""What is done to the cluster while clients work. Each scenario acts for its time or rounds; what it broke is mended afterwards. It may give
violations that it has found itself."""

import itertools
import time

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import traps
from harness.loads import Awaited, Pipelined
from harness.workload import TOPIC


class Nemesis:
    """A cluster, a random stream, and when it is enough: after some time, or after some rounds."""

    def __init__(self, cluster, rng, seconds, rounds=None):
        self.cluster, self.rng, self.rounds = cluster, rng, rounds
        self.deadline = time.monotonic() + seconds
        self.faults = 0
        # What a scenario has counted or measured, for the report.
        self.notes = {}

    def goes_on(self):
        return self.faults < self.rounds if self.rounds else time.monotonic() < self.deadline

    def fault(self, text):
        self.faults += 1
        print(f"    {text}", flush=True)

    def any(self):
        return self.rng.choice(list(self.cluster.nodes.values()))

    def leader(self):
        return self.cluster.leader_of(TOPIC, self.rng.randrange(3)) or self.any()

    def others(self, node):
        return [other for other in self.cluster.nodes.values() if other is not node]

    def rest(self, low, high):
        time.sleep(self.rng.uniform(low, high))

    def whole(self):
        self.cluster.wait_until_whole()

    def cut(self, directions):
        """What goes in these directions, (from, to), is lost for some seconds."""
        for source, target in directions:
            self.cluster.net.cut(source, target)
        self.rest(2, 8)
        self.cluster.net.heal()
        self.rest(3, 6)


def c1_kills(nemesis):
    """SIGKILL of the leader, a follower, the controller, or all; back after 0 to 5 s."""
    kinds = itertools.cycle(["leader", "controller", "follower", "all"])
    while nemesis.goes_on():
        kind = next(kinds)
        leader = nemesis.leader()
        targets = {
            "leader": [leader],
            "controller": [nemesis.cluster.controller() or leader],
            "follower": nemesis.others(leader)[:1],
            "all": list(nemesis.cluster.nodes.values()),
        }[kind]
        nemesis.fault(f"kill {kind}: {[node.number for node in targets]}")
        for node in targets:
            node.kill()
        nemesis.rest(0, 5)
        for node in targets:
            node.start()
        nemesis.rest(3, 6)


def c2_rolling_restarts(nemesis):
    """SIGTERM, one after the other, each after everything is in sync again."""
    nodes = itertools.cycle(nemesis.cluster.nodes.values())
    while nemesis.goes_on():
        node = next(nodes)
        code = node.stop()
        nemesis.fault(f"stop {node.number}: exit code {code}")
        if code != 0:
            raise AssertionError(f"node {node.number} did not stop cleanly: {code}")
        node.start()
        nemesis.whole()


def c3_pauses(nemesis):
    """The leader stands still for 0.5 to 8 s, longer than its session at times: as a zombie it must not acknowledge."""
    while nemesis.goes_on():
        node = nemesis.leader()
        seconds = nemesis.rng.choice([0.5, 2, 5, 8])
        nemesis.fault(f"pause {node.number} for {seconds} s")
        node.pause()
        time.sleep(seconds)
        node.resume()
        nemesis.rest(2, 4)


def c4_partitions(nemesis):
    """One broker alone, or one link of the three cut."""
    while nemesis.goes_on():
        node = nemesis.leader()
        others = nemesis.others(node)
        if nemesis.rng.random() < 0.4:
            others = others[:1]
        others = [other.number for other in others]
        nemesis.fault(f"cut {node.number} from {others}")
        nemesis.cut([(node.number, other) for other in others] + [(other, node.number) for other in others])


def c5_one_way_cuts(nemesis):
    """A leader that is deaf, or mute."""
    while nemesis.goes_on():
        node = nemesis.leader()
        deaf = nemesis.rng.random() < 0.5
        nemesis.fault(f"{node.number} is {'deaf' if deaf else 'mute'}")
        others = [other.number for other in nemesis.others(node)]
        nemesis.cut([(other, node.number) if deaf else (node.number, other) for other in others])


def c8_clients_cut(nemesis):
    """Clients lose the leader, the leader dies, the clients come back: open batches are sent again."""
    net = nemesis.cluster.net
    while nemesis.goes_on():
        node = nemesis.leader()
        nemesis.fault(f"clients cut from {node.number}, then it is killed")
        net.cut(0, node.number)
        net.cut(node.number, 0)
        nemesis.rest(0.5, 2)
        node.kill()
        nemesis.rest(0, 1)
        net.heal()
        nemesis.rest(1, 4)
        node.start()
        nemesis.rest(3, 6)


def c9_last_replica_standing(nemesis):
    """Brokers die one by one; the last one dies as well; they come back in every order. Unavailable, but nothing is lost."""
    orders = itertools.cycle(itertools.permutations([1, 2, 3]))
    while nemesis.goes_on():
        nemesis.whole()
        last = nemesis.rng.choice([1, 2, 3])
        back = next(orders)
        nemesis.fault(f"last one standing: {last}; back in the order {back}")
        for number in (number for number in (1, 2, 3) if number != last):
            nemesis.cluster.nodes[number].kill()
            nemesis.rest(0.5, 4)
        nemesis.cluster.nodes[last].kill()
        for number in back:
            nemesis.cluster.nodes[number].start()
            nemesis.rest(0.2, 4)


def c10_pause_and_kill(nemesis):
    """A minority pauses, one of the rest dies, the rest pauses, the minority goes on alone with who restarts."""
    nodes = nemesis.cluster.nodes
    while nemesis.goes_on():
        nemesis.whole()
        minority, dying, rest = nemesis.rng.sample([1, 2, 3], 3)
        nemesis.fault(f"pause {minority}, kill {dying}, pause {rest}, resume {minority}, start {dying}")
        nodes[minority].pause()
        nemesis.rest(3, 6)
        nodes[dying].kill()
        nodes[rest].pause()
        nodes[minority].resume()
        nodes[dying].start()
        nemesis.rest(4, 8)
        nodes[rest].resume()


def c13_lost_disks(nemesis):
    """A broker comes back with an empty disk under the same id, at once or later: it is filled again and never elected empty. A log that
    begins within a batch is filled again as well."""
    trimmed_topic(nemesis.cluster)
    while nemesis.goes_on():
        nemesis.whole()
        node = nemesis.leader()
        nemesis.fault(f"wipe {node.number}")
        node.wipe()
        nemesis.rest(0, nemesis.rng.choice([0.1, 5]))
        node.start()
        nemesis.whole()


def trimmed_topic(cluster):
    """A topic whose first half of a batch is deleted."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic("trimmed", 1, 3)], operation_timeout=20)["trimmed"].result(30)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 500, "acks": "all", "log_level": 0})
    for number in range(100):
        producer.produce("trimmed", str(number).encode())
    if producer.flush(30):
        raise AssertionError("the topic could not be filled")
    for future in admin.delete_records([TopicPartition("trimmed", 0, 50)]).values():
        future.result(30)


def d1_leader_kills(nemesis):
    """The leader is killed at random, again and again, under one pipelined producer and 16 that wait for every record."""
    cluster = nemesis.cluster
    loads = [Pipelined(cluster, "pipelined", 3).start(), Awaited(cluster, "awaited", 3, 16, nemesis.rng.randrange(1 << 30)).start()]
    try:
        while nemesis.goes_on():
            node = nemesis.leader()
            nemesis.fault(f"kill {node.number}")
            node.kill()
            nemesis.rest(0, 2)
            node.start()
            nemesis.rest(1, 4)
        nemesis.whole()
    finally:
        for load in loads:
            load.stop()
    nemesis.notes |= {f"acknowledged, {load.topic}": load.acknowledged() for load in loads}
    return [violation for load in loads for violation in load.verify()]


SCENARIOS = {
    "C1": c1_kills,
    "C2": c2_rolling_restarts,
    "C3": c3_pauses,
    "C4": c4_partitions,
    "C5": c5_one_way_cuts,
    "C8": c8_clients_cut,
    "C9": c9_last_replica_standing,
    "C10": c10_pause_and_kill,
    "C13": c13_lost_disks,
    "D1": d1_leader_kills,
    **traps.SCENARIOS,
}
NEEDS_LINKS = {"C4", "C5", "C8"}
