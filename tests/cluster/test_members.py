"""Who belongs to a cluster, and what its brokers say of that: docs/operations/cluster.md."""

import pytest

from harness import metadata, paths
from harness.loads import create
from harness.nodes import Cluster
from harness.raw_kafka import NONE, TOPIC_RESOURCE, Connection
from harness.waiting import wait_for

SECONDS = 30


@pytest.fixture
def cluster(tmp_path):
    if not paths.EDDY.exists():
        pytest.skip(f"{paths.EDDY} is not built")
    cluster = Cluster(paths.EDDY, tmp_path)
    try:
        yield cluster.start()
    finally:
        cluster.close()


def others(cluster, node):
    return [other for other in cluster.nodes.values() if other is not node]


def take_out(node, broker):
    with Connection(node) as connection:
        assert connection.unregister(broker.number) == (NONE, None)


def known_to(nodes):
    return [metadata.ask(node)[0] for node in nodes]


def stops_by_itself(node):
    wait_for(f"broker {node.number} stops", lambda: not node.running, SECONDS)
    assert node.process.returncode == 1
    said = node.log_path.read_text()
    assert "ED-1020" in said and f"broker {node.number} was taken out of the cluster" in said, said[-2_000:]


@pytest.mark.parametrize("role", ["follower", "controller"])
def test_a_broker_that_is_taken_out_stops_by_itself_and_comes_back_as_a_new_one(cluster, role):
    controller = cluster.controller()
    node = controller if role == "controller" else others(cluster, controller)[0]
    rest = others(cluster, node)
    take_out(rest[0], node)
    stops_by_itself(node)
    wait_for("the others know each other only", lambda: known_to(rest) == 2 * [[other.number for other in rest]], SECONDS)
    create(cluster, "meanwhile", 3, replicas=2)
    node.start()
    cluster.wait_until_whole(SECONDS)


def test_a_broker_that_was_away_when_it_was_taken_out_stops_once_it_is_back(cluster):
    create(cluster, "held", 3)
    node = others(cluster, cluster.controller())[0]
    rest = others(cluster, node)
    node.pause()
    wait_for("it is given up", lambda: known_to(rest) == 2 * [[other.number for other in rest]], SECONDS)
    take_out(rest[0], node)
    node.resume()
    stops_by_itself(node)


def agreed(nodes, behind=()):
    """What all of these say of the metadata group, once they say the same, and every voter but those behind has everything."""
    said = []
    for node in nodes:
        with Connection(node) as connection:
            said.append(connection.describe_quorum())
    first = said[0]
    is_whole = all(end == first.committed for voter, end in first.voters.items() if voter not in behind)
    return first if is_whole and said.count(first) == len(said) else None


def test_every_broker_tells_of_the_metadata_group_what_its_leader_knows(cluster):
    """A follower knows how far it is itself, and nothing of the others."""
    create(cluster, "changed", 1)
    nodes = list(cluster.nodes.values())
    before = wait_for("all agree", lambda: agreed(nodes), SECONDS)
    assert set(before.voters) == {1, 2, 3} and not before.observers
    assert before.leader == cluster.controller().number
    leader = cluster.nodes[before.leader]
    away, other = others(cluster, leader)

    def change():
        with Connection(leader) as connection:
            for number in range(5):
                assert connection.set_config(TOPIC_RESOURCE, "changed", "retention.ms", f"{1_000_000 + number}") == NONE

    change()
    moved = wait_for("all have what came", lambda: agreed(nodes), SECONDS)
    assert moved.committed >= before.committed + 5
    away.pause()
    change()
    lagging = wait_for("the two that are left agree", lambda: agreed([leader, other], behind=[away.number]), SECONDS)
    assert moved.voters[away.number] <= lagging.voters[away.number] < lagging.committed
    away.resume()
    caught_up = wait_for("it has caught up", lambda: agreed(nodes), SECONDS)
    assert caught_up.committed >= lagging.committed
