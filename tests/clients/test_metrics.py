"""Every metric is in docs/METRICS.md, and moves when something happens (trap X31)."""

import http.client
import re
import socket
import struct
import threading
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from harness.clients import CLIENTS
from harness.members import Members
from harness.raw_kafka import Connection
from harness.raw_wire import array, string
from harness.waiting import wait_for

pytestmark = pytest.mark.one_node

DOCUMENT = Path(__file__).parents[2] / "docs" / "METRICS.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| [^|]* \| ([^|]*) \|$", re.MULTILINE)
SECONDS = 60
ALTER_CLIENT_QUOTAS = 49


def documented():
    """{name: when it moves, or an empty string for "in this test"}."""
    return {name: when.strip() for name, _, _, when in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))}


def scrape(broker, path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", broker.admin_port, timeout=SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read().decode()


def samples(text):
    """{family: {series: value}}"""
    families, found = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            families[line.split()[2]] = line.split()[3]
        elif line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            family = name if name in families else re.sub(r"_(sum|count|bucket)$", "", name)
            found.setdefault(family, {})[series] = value
    return families, found


class Watch(threading.Thread):
    """Scrapes again and again, and notes whose values were not always the same."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.stop = broker, threading.Event()
        self.families, self.moved, self.last = {}, set(), {}

    def look(self):
        families, found = samples(scrape(self.broker))
        self.families |= families
        for family, values in found.items():
            if self.last.get(family, values) != values or (family not in self.last and self.last):
                self.moved.add(family)
        self.last |= found

    def run(self):
        while not self.stop.wait(0.05):
            self.look()


def produce(broker, topic, count, keys=1, value=b"x" * 100, **settings):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, **settings})
    for number in range(count):
        producer.produce(topic, key=str(number % keys), value=value)
        producer.poll(0)
    assert producer.flush(30) == 0


@pytest.fixture(scope="module")
def watched(start_broker, tmp_path_factory):
    """A broker that everything has happened to, and what was seen of its metrics meanwhile."""
    broker = start_broker(
        settings={
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
            "log.cleaner.backoff.ms": "200",
            "log.checkpoint.interval.ms": "300",
        }
    )
    if broker.kind != "eddy":
        pytest.skip("these are this broker's metrics")
    watch = Watch(broker)
    watch.look()
    watch.start()
    happen(broker, watch, tmp_path_factory.mktemp("metrics"))
    watch.stop.set()
    watch.join(SECONDS)
    yield broker, watch
    broker.close()


def happen(broker, watch, directory):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    compacted = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "500"}
    searched = {"search.enable": "true"}
    topics = [NewTopic("plain", 4), NewTopic("compacted", 1, config=compacted), NewTopic("searched", 1, config=searched)]
    for future in admin.create_topics(topics).values():
        future.result(SECONDS)
    produce(broker, "plain", 1000)
    produce(broker, "searched", 100, value=b'{"level": "error"}')
    assert '"count":100' in scrape(broker, f"/searched/_count?q=level:error&refresh=wait_for&timeout={SECONDS}s").replace(" ", "")
    admin.list_topics(timeout=SECONDS)
    members = Members(broker, directory)
    one = members.start(CLIENTS["confluent-kafka"], "moving", ["plain"], session_ms=1_000)
    one.wait(lambda member: member.committed >= 1000, "reads everything")
    one.kill()
    produce(broker, "plain", 10)
    # A client that keeps fetch sessions.
    two = members.start(CLIENTS["kafka-python-2.3"], "with-sessions", ["plain"])
    two.wait(lambda member: member.committed >= 1010, "reads everything")
    two.close()
    wait_for("a killed member expires", lambda: "eddy_group_expired_members_total" in watch.moved)
    wait_for("lag in seconds is seen", lambda: "eddy_group_lag_seconds" in watch.moved)
    for future in admin.delete_consumer_groups(["moving"]).values():
        future.result(SECONDS)
    # Compaction takes sealed segments that a checkpoint has seen.
    for _ in range(12):
        produce(broker, "compacted", 3000, keys=10, value=b"y" * 1000)
    wait_for("a log is compacted", lambda: "eddy_compaction_runs_total" in watch.moved)
    with socket.create_connection(("127.0.0.1", broker.port)) as strange:
        strange.sendall(b"GET / HTTP/1.1\r\n\r\n")
        strange.recv(1000)
    with pytest.raises(Exception, match="UNKNOWN_TOPIC|not|exist"):
        resource = ConfigResource(ConfigResource.Type.TOPIC, "missing")
        admin.describe_configs([resource])[resource].result(SECONDS)
    throttle(broker)
    admin.delete_topics(["plain"])["plain"].result(SECONDS)
    wait_for("a checkpoint is taken", lambda: "eddy_checkpoints_total" in watch.moved)
    wait_for("connections are counted", lambda: "eddy_client_connections" in watch.moved)


def throttle(broker):
    """A quota that a producer breaks at once."""
    entity = array([string("client-id") + string("greedy")])
    quota = array([string("producer_byte_rate") + struct.pack(">d?", 1000.0, False)])
    with Connection(broker) as connection:
        answer = connection.ask(ALTER_CLIENT_QUOTAS, 0, array([entity + quota]) + b"\0")
    assert answer.take(">iih") == (0, 1, 0)
    # One batch of three times what the quota lets through at once.
    produce(broker, "plain", 300, **{"client.id": "greedy", "linger.ms": 200, "batch.size": 1_000_000})


def test_every_metric_is_documented(watched):
    _, watch = watched
    known = documented()
    shown = {name for name in watch.families if not name.startswith("eddy_client_") or name in known}
    assert shown - set(known) == set(), "exported and not in docs/METRICS.md"
    assert set(known) - shown == set(), "in docs/METRICS.md and not exported"


def test_every_metric_moves_when_something_happens(watched):
    _, watch = watched
    expected = {name for name, when in documented().items() if not when}
    assert expected - watch.moved == set()


def test_a_scrape_is_quick_and_whole_for_the_usual_exporters_names(watched):
    broker, _ = watched
    text = scrape(broker, "/metrics/kafka_exporter")
    families, _ = samples(text)
    assert {"kafka_brokers", "kafka_topic_partitions", "kafka_topic_partition_current_offset", "kafka_consumergroup_members"} <= set(families)
