"""Where clients read and how they find leaders on three brokers: followers in the reader's rack, and leaders that move.

Rules: R-3.108, R-3.110.
"""

import json
import subprocess
import threading
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from harness import paths
from harness.cluster import rack_of
from harness.waiting import wait_for
from test_cluster_tools import placed, placement, states, tool  # noqa: F401

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
RECORDS = 2000
SECONDS = 60


@pytest.fixture
def written(cluster, placed):  # noqa: F811
    """A topic that node 1 leads, and all of which every replica has."""
    topic = placed([1, 2, 3])
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 1, "batch.num.messages": 20})
    for number in range(RECORDS):
        producer.produce(topic, b"%0100d" % number, partition=0)
    assert producer.flush(SECONDS) == 0
    return topic


def read_in_rack(cluster, topic, rack):
    """Reads the topic with librdkafka in small fetches; gives the values and the broker that it read from in the end."""
    brokers = []
    settings = {
        "bootstrap.servers": cluster.bootstrap, "group.id": "unused", "enable.auto.commit": False, "client.rack": rack,
        "fetch.max.bytes": 4096, "max.partition.fetch.bytes": 4096, "fetch.wait.max.ms": 100, "message.max.bytes": 4096,
        "statistics.interval.ms": 50, "queued.min.messages": 50,
        "stats_cb": lambda text: brokers.append(json.loads(text)["topics"].get(topic, {}).get("partitions", {}).get("0", {}).get("broker")),
    }  # fmt: skip
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = []
    deadline = time.monotonic() + SECONDS
    expected = [b"%0100d" % number for number in range(RECORDS)]
    while len(found) < RECORDS and time.monotonic() < deadline:
        for message in consumer.consume(100, timeout=0.2):
            assert message.error() is None, message.error()
            if len(message.value()) == 100:
                found.append(message.value())
    told = len(brokers)
    while len(brokers) < told + 2 and time.monotonic() < deadline:
        consumer.poll(0.1)
    consumer.close()
    return found == expected, brokers[-1]


@pytest.mark.short
@pytest.mark.parametrize("number", [2, 3])
def test_librdkafka_reads_from_the_follower_in_its_rack(cluster, written, number):
    assert read_in_rack(cluster, written, rack_of(number)) == (True, number)


@pytest.mark.parametrize("rack", [rack_of(1), "nowhere", ""])
def test_librdkafka_reads_from_the_leader_when_that_is_in_its_rack_or_nobody_is(cluster, written, rack):
    assert read_in_rack(cluster, written, rack) == (True, 1)


@pytest.mark.parametrize(("rack", "expected"), [(rack_of(1), ""), (rack_of(3), "3"), ("nowhere", "")])
def test_the_java_client_prefers_the_follower_in_its_rack(cluster, written, rack, expected):
    if not paths.JAVA_LIBRARIES.exists():
        pytest.skip(f"{paths.JAVA_LIBRARIES} is not installed")
    command = paths.java("RackReader", cluster.bootstrap, written, rack, str(RECORDS))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == expected


def test_a_reader_in_the_rack_of_a_dead_follower_reads_from_the_leader(cluster, written):
    cluster.node(3).kill()
    wait_for("the dead broker is out of sync", lambda: 3 not in states(cluster, written)[0].in_sync)
    assert read_in_rack(cluster, written, rack_of(3)) == (True, 1)


class Stream:
    """An idempotent producer that writes on and on, and counts the Metadata requests that it sends."""

    def __init__(self, cluster, topic):
        self.topic, self.failed, self.slowest, self.delivered = topic, [], 0.0, 0
        self.asked = {}
        self.stop = threading.Event()
        self.producer = Producer(
            {
                "bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "linger.ms": 1, "log_level": 0,
                "statistics.interval.ms": 200, "stats_cb": self.count,
            }  # fmt: skip
        )
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def count(self, text):
        self.asked |= {name: broker["req"].get("Metadata", 0) for name, broker in json.loads(text)["brokers"].items()}

    def metadata_requests(self):
        return sum(self.asked.values())

    def run(self):
        while not self.stop.is_set():
            self.producer.produce(self.topic, b"x", partition=0, on_delivery=self.done(time.monotonic()))
            self.producer.poll(0.005)

    def done(self, sent):
        def delivered(error, _message):
            if error is not None:
                self.failed.append(str(error))
            self.delivered += 1
            self.slowest = max(self.slowest, time.monotonic() - sent)

        return delivered

    def close(self):
        self.stop.set()
        self.thread.join()
        assert self.producer.flush(SECONDS) == 0


@pytest.mark.short
def test_producers_follow_a_leader_that_moves_without_a_storm_of_metadata_requests(cluster, tool, placed, tmp_path):  # noqa: F811
    """KIP-951: the refusal says who leads now."""
    topic = placed([1, 2, 3])
    stream = Stream(cluster, topic)
    orders = [[2, 3, 1], [3, 1, 2], [1, 2, 3]]
    try:
        wait_for("the producer is at work", lambda: stream.delivered > 50)
        stream.producer.list_topics(timeout=SECONDS)
        wait_for("a request is counted", lambda: stream.metadata_requests() > 0)
        before = stream.metadata_requests()
        for order in orders:
            file = placement(tmp_path / "order.json", topic, {0: order})
            tool("reassign-partitions", "--reassignment-json-file", file, "--execute")
            wait_for("the order is another", lambda order=order: states(cluster, topic)[0].replicas == order)
            tool("leader-election", "--election-type", "preferred", "--topic", topic, "--partition", 0)
            written = stream.delivered
            wait_for("another leads", lambda order=order: states(cluster, topic)[0].leader == order[0])
            wait_for("the producer goes on", lambda written=written: stream.delivered > written + 50)
        time.sleep(0.5)
        requests = stream.metadata_requests() - before
    finally:
        stream.close()
    print(f"{requests} Metadata requests for {len(orders)} moves; slowest delivery {stream.slowest:.3f} s")
    assert stream.failed == []
    assert requests <= 4 * len(orders)
    assert stream.slowest < 5
