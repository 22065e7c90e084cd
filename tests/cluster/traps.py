"""Traps that comparable brokers fell into, on real processes. Their numbers are those of the test plan; the README says what each is."""

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import metadata, metrics
from harness.checker import Violation
from harness.loads import Awaited, create
from harness.nodes import Cluster, Loopback
from harness.producer import SequentialProducer
from harness.history import FAIL, INFO, OK, SEND, History
from harness.raw_kafka import NOBODY
from harness.reader import read_to_end

PRODUCERS = 128
WORKLOADS = Path(__file__).resolve().parents[2] / "benches/workloads/run.py"


def x17_offset_races(nemesis):
    """128 producers on one partition, and its leader is killed in the middle: no gap, and every acknowledged offset is where its record is."""
    cluster = nemesis.cluster
    load = Awaited(cluster, "races", 1, PRODUCERS, nemesis.rng.randrange(1 << 30)).start()
    try:
        while nemesis.goes_on():
            nemesis.rest(2, 3)
            node = cluster.leader_of("races") or nemesis.any()
            nemesis.fault(f"kill {node.number}")
            node.kill()
            nemesis.rest(1, 2)
            node.start()
            nemesis.whole()
    finally:
        load.stop()
    nemesis.notes["acknowledged, races"] = load.acknowledged()
    return load.verify()


def x23_start_orders(nemesis):
    """Everything stops and starts in every order. Beside it new clusters are founded in every order, one of whose brokers vanishes meanwhile."""
    for number, order in enumerate(itertools.cycle(itertools.permutations([1, 2, 3]))):
        if not nemesis.goes_on():
            return
        founding(nemesis, number, order)
        for node in nemesis.cluster.nodes.values():
            node.stop()
        nemesis.fault(f"start in the order {order}")
        for node in order:
            nemesis.cluster.nodes[node].start()
            nemesis.rest(0, 2)
        nemesis.whole()


def founding(nemesis, number, order):
    """A new cluster, started in an order; one broker is killed while it is founded, and comes back."""
    # The first broker of the seeds founds: it is the one to lose most of the time.
    victim = nemesis.rng.choice([1, 1, *order])
    after, away = nemesis.rng.uniform(0, 0.6), nemesis.rng.uniform(0, 1)
    print(f"    found in the order {order}, {victim} dies after {after:.2f} s", flush=True)
    cluster = Cluster(nemesis.cluster.binary, nemesis.cluster.directory / f"founded-{number}", Loopback())
    try:
        timer = threading.Timer(after, cluster.nodes[victim].kill)
        for node in order:
            cluster.nodes[node].start()
            if node == victim:
                timer.start()
            nemesis.rest(0, 0.3)
        timer.join()
        time.sleep(away)
        cluster.nodes[victim].start()
        cluster.wait_until_whole()
        ids = {json.loads((node.directory / "meta.json").read_text())["cluster_id"] for node in cluster.nodes.values()}
        if len(ids) != 1:
            raise AssertionError(f"founded in the order {order} there are the clusters {ids}")
        create(cluster, "first", 3)
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "log_level": 0})
        for partition in range(3):
            producer.produce("first", b"first", partition=partition)
        if producer.flush(30):
            raise AssertionError(f"a cluster founded in the order {order} takes no records")
    finally:
        cluster.close()


def x24_topics_everywhere(nemesis):
    """Topics of one and of three replicas are made through each broker at once, and 128 producers make theirs by writing, while a broker
    restarts: every broker knows the same ones, and each of them has leaders and takes records."""
    clients = [AdminClient({"bootstrap.servers": node.bootstrap, "log_level": 0}) for node in nemesis.cluster.nodes.values()]
    rounds = itertools.count()
    while nemesis.goes_on():
        number = next(rounds)
        nemesis.whole()
        made = asked_for(clients, number)
        written = made_by_writing(nemesis, number)
        node = nemesis.any()
        nemesis.fault(f"{made} topics asked for, {written} made by writing; restart {node.number}")
        node.kill()
        node.start()
        nemesis.whole()
        catalogues_agree(nemesis.cluster)


def asked_for(clients, number):
    futures = {}
    for index, client in enumerate(clients):
        topics = [NewTopic(f"made-{number}-{index}-{topic}", 2, 1 if topic % 2 else 3) for topic in range(6)]
        # The same name from everybody: exactly one makes it.
        topics.append(NewTopic(f"made-{number}-same", 2, 3))
        for name, future in client.create_topics(topics, operation_timeout=20).items():
            futures.setdefault(name, []).append(future)
    for name, attempts in futures.items():
        made = sum(attempt.exception(30) is None for attempt in attempts)
        if made != 1:
            raise AssertionError(f"topic {name} was made {made} times: {[str(attempt.exception()) for attempt in attempts]}")
    return len(futures)


def made_by_writing(nemesis, number):
    """128 producers, two a topic, each asking a broker of its own choice: both records of each topic are there, where they were said to be."""
    cluster, topics = nemesis.cluster, PRODUCERS // 2
    history, failures = History(), []

    def write(process):
        topic = f"auto-{number}-{process % topics}"
        node = cluster.nodes[process % 3 + 1]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if metadata.ask(node, [topic], auto_create=True)[1].get((topic, 0), NOBODY).leader > 0:
                    break
            except OSError:
                pass
            time.sleep(0.05)
        producer = SequentialProducer(cluster, history, process, topic, lambda partition: f"{topic}-{partition}", random.Random(process))
        producer.send(0, f"{topic}.{process}")
        producer.close()

    with ThreadPoolExecutor(PRODUCERS) as pool:
        # An error of one of them is raised here.
        list(pool.map(write, range(PRODUCERS)))
    for event in history.events:
        if event["f"] == SEND and event["type"] in (FAIL, INFO):
            failures.append(f"{event['value']}: {event['error']}")
    if failures:
        raise AssertionError(f"{len(failures)} of {PRODUCERS} records were not taken: {failures[:3]}")
    sent = {(event["key"], event["offset"]): event["value"] for event in history.events if event["f"] == SEND and event["type"] == OK}
    expected = {(f"auto-{number}-{index}", 0): [] for index in range(topics)}
    for (key, offset), value in sorted(sent.items()):
        expected[key.removesuffix("-0"), 0].append((offset, value))
    read = read_to_end(cluster, {topic: 1 for topic, _ in expected})
    for place, records in expected.items():
        if read[place] != records:
            raise AssertionError(f"{place}: acknowledged {records}, there is {read[place]}")
    return topics


def catalogues_agree(cluster, seconds=30):
    """Every broker gives the same answer to Metadata of everything, byte by byte."""
    deadline = time.monotonic() + seconds
    while True:
        answers = {number: metadata.catalogue(node) for number, node in cluster.nodes.items()}
        if len(set(answers.values())) == 1:
            return len(answers[1])
        if time.monotonic() > deadline:
            raise AssertionError(f"catalogues differ: {({number: len(answer) for number, answer in answers.items()})} bytes")
        time.sleep(0.2)


def x25_many_topics(nemesis):
    """5,000 topics (200 a round when rounds are counted); brokers restart, with SIGTERM and SIGKILL; every catalogue is the same, byte by byte."""
    cluster = nemesis.cluster
    count = 200 * nemesis.rounds if nemesis.rounds else 5_000
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    began = time.monotonic()
    for start in range(0, count, 500):
        topics = [NewTopic(f"many-{number}", 1, 3) for number in range(start, min(start + 500, count))]
        for future in admin.create_topics(topics, operation_timeout=60, request_timeout=90).values():
            future.result(120)
    nemesis.notes[f"seconds to create {count} topics"] = round(time.monotonic() - began, 1)
    cluster.wait_until_whole(120)
    restarts = []
    for kill in itertools.cycle([False, True]):
        if not nemesis.goes_on() and restarts:
            break
        node = nemesis.any()
        nemesis.fault(f"{'kill' if kill else 'stop'} {node.number} with {count} topics")
        node.kill() if kill else node.stop()
        began = time.monotonic()
        node.start()
        cluster.wait_until_whole(120)
        restarts.append(round(time.monotonic() - began, 1))
        nemesis.notes["bytes of each catalogue"] = catalogues_agree(cluster)
    nemesis.notes["seconds until whole after a restart"] = restarts


def x26_no_metadata_on_the_way_of_a_record(nemesis):
    """While producers work and nothing happens, the metadata log stands still; and they go on while the controller is away."""
    cluster, violations = nemesis.cluster, []
    quiet = 10 if nemesis.rounds is None else 3
    load = Awaited(cluster, "quiet", 3, 16, nemesis.rng.randrange(1 << 30)).start()
    try:
        while nemesis.goes_on():
            nemesis.whole()
            # Producers that have just begun take blocks of ids.
            before = settled(cluster)
            acknowledged = load.acknowledged()
            time.sleep(quiet)
            after, more = committed(cluster), load.acknowledged() - acknowledged
            if before != after:
                violations.append(Violation("X26", f"the metadata log went from {before} to {after} in {quiet} s of {more} records"))
            if more == 0:
                violations.append(Violation("X26", f"no record in {quiet} s"))
            controller = cluster.controller() or nemesis.any()
            nemesis.fault(f"{more} records while the metadata log stood at {after}; kill the controller, {controller.number}")
            acknowledged, began = load.acknowledged(), time.monotonic()
            controller.kill()
            time.sleep(3)
            if (more := load.acknowledged() - acknowledged) < 100:
                violations.append(Violation("X26", f"{more} records in {time.monotonic() - began:.1f} s without the controller"))
            controller.start()
    finally:
        load.stop()
    return violations + load.verify()


def w5_lost_answers(nemesis):
    """The workload C5 of benches/workloads: an idempotent producer of kafka-python loses one answer in a hundred, and a broker is killed when
    half is sent. All 5,000 records are there once."""
    cluster, violations = nemesis.cluster, []
    while nemesis.goes_on():
        nemesis.whole()
        node = nemesis.any()
        nemesis.fault(f"kill {node.number} when half is sent")
        kill = f"kill -9 {node.process.pid}"
        command = [sys.executable, WORKLOADS, "C5", "--bootstrap", cluster.bootstrap, "--during", kill]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as workload:
            while node.running and workload.poll() is None:
                time.sleep(0.05)
            if node.running:
                violations.append(Violation("W5", "the workload ended before the broker was killed"))
            nemesis.rest(0.5, 2)
            node.start()
            said, _ = workload.communicate(timeout=180)
        if workload.returncode != 0:
            violations.append(Violation("W5", said[-2_000:]))
    return violations


def committed(cluster):
    """The end of the metadata log on the broker that is furthest."""
    return max(metrics.read(*node.admin)["eddy_raft_committed_end"] for node in cluster.nodes.values())


def settled(cluster, seconds=30):
    """`committed` when it has not moved for two seconds."""
    deadline = time.monotonic() + seconds
    before = committed(cluster)
    while time.monotonic() < deadline:
        time.sleep(2)
        after = committed(cluster)
        if after == before:
            return after
        before = after
    raise AssertionError(f"the metadata log does not come to rest in {seconds} s: it is at {before}")


SCENARIOS = {
    "W5": w5_lost_answers,
    "X17": x17_offset_races,
    "X23": x23_start_orders,
    "X24": x24_topics_everywhere,
    "X25": x25_many_topics,
    "X26": x26_no_metadata_on_the_way_of_a_record,
}
