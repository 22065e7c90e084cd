"""Kafka's tools about replicas: where they are, who leads, how to move them; on three brokers.

Rules: R-3.100 to R-3.109.
"""

import json
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import paths, tools
from harness.raw_batches import batch, record, values
from harness.raw_kafka import NONE, Connection
from harness.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
SECONDS = 60
RECORDS = 200
NOT_LEADER = 6


@pytest.fixture
def tool(cluster):
    return tools.against(cluster)


@pytest.fixture
def placed(cluster, tool, unique):
    """Makes a topic whose partitions have these replicas, the preferred leader first, and writes records to each."""

    def place(*replicas, **config):
        topic = unique("placed")
        assignment = ",".join(":".join(map(str, brokers)) for brokers in replicas)
        configs = [part for key, value in config.items() for part in ("--config", f"{key.replace('_', '.')}={value}")]
        tool("topics", "--create", "--topic", topic, "--replica-assignment", assignment, *configs)
        cluster.wait_for_leaders(topic, len(replicas))
        for partition in range(len(replicas)):
            fill(cluster, topic, partition)
        return topic

    return place


def fill(cluster, topic, partition, count=RECORDS):
    with Connection(cluster.leader_of(topic, partition)) as connection:
        for number in range(count):
            assert connection.produce(topic, partition, batch([record(0, value=b"%d" % number)]), acks=-1)[0] == NONE


def read_back(cluster, topic, partition, count=RECORDS):
    """Asserts that the leader has the records, and nothing else."""
    found, deadline = [], time.monotonic() + SECONDS
    with Connection(cluster.leader_of(topic, partition)) as connection:
        while len(found) < count:
            error, _, data = connection.fetch(topic, partition, len(found))
            if error == NOT_LEADER and time.monotonic() < deadline:
                # Elected, and has not heard of it yet.
                continue
            assert error == NONE
            part = [one for one in values(data) if one[0] >= len(found)]
            assert part, f"the log ends at {len(found)}"
            found += part
    assert found == [(number, b"%d" % number) for number in range(count)]


def states(cluster, topic):
    """{partition: State}"""
    return {partition: state for (_, partition), state in cluster.described([topic])[1].items()}


def placement(path, topic, replicas):
    """A file for the reassignment tool."""
    partitions = [{"topic": topic, "partition": partition, "replicas": brokers} for partition, brokers in replicas.items()]
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return path


def described_partitions(text):
    """[(topic, partition, leader, replicas, in-sync replicas)] of `topics --describe`."""
    found = []
    for line in text.splitlines():
        if "Partition: " in line:
            fields = dict(re.findall(r"(\w+): (\S*)", line))
            numbers = [[int(number) for number in fields[key].split(",") if number] for key in ("Replicas", "Isr")]
            leader = None if fields["Leader"] == "none" else int(fields["Leader"])
            found.append((fields["Topic"], int(fields["Partition"]), leader, *numbers))
    return found


@pytest.mark.short
def test_topics_tool_shows_leaders_replicas_and_in_sync_replicas(tool, placed):
    topic = placed([1, 2, 3], [2, 3, 1], [3, 1, 2])
    found = described_partitions(tool("topics", "--describe", "--topic", topic))
    assert [one[1:4] for one in found] == [(0, 1, [1, 2, 3]), (1, 2, [2, 3, 1]), (2, 3, [3, 1, 2])]
    assert all(sorted(in_sync) == [1, 2, 3] for *_, in_sync in found)
    for ill in ("under-replicated", "under-min-isr", "at-min-isr", "unavailable"):
        assert described_partitions(tool("topics", "--describe", "--topic", topic, f"--{ill}-partitions")) == []
    # As many replicas as must be in sync.
    scarce = placed([2, 1])
    assert [one[0] for one in described_partitions(tool("topics", "--describe", "--at-min-isr-partitions"))] == [scarce]


def test_topics_tool_tells_which_partitions_miss_replicas_while_a_broker_is_dead(cluster, tool, placed):
    topic, scarce = placed([1, 2, 3], [3, 2, 1]), placed([3, 1], [2, 1])
    names = {topic: "wide", scarce: "scarce"}

    def ill(kind):
        found = described_partitions(tool("topics", "--describe", f"--{kind}-partitions"))
        return {(names[one[0]], one[1]) for one in found if one[0] in names}

    cluster.node(3).kill()
    wait_for("the dead broker is out of sync", lambda: all(3 not in state.in_sync for one in names for state in states(cluster, one).values()))
    found = described_partitions(tool("topics", "--describe", "--topic", f"{topic}|{scarce}"))
    assert {(names[one[0]], one[1], one[2]) for one in found} == {("wide", 0, 1), ("wide", 1, 2), ("scarce", 0, 1), ("scarce", 1, 2)}
    assert ill("under-replicated") == {("wide", 0), ("wide", 1), ("scarce", 0)}
    assert ill("at-min-isr") == {("wide", 0), ("wide", 1), ("scarce", 1)}
    assert ill("under-min-isr") == {("scarce", 0)}
    assert ill("unavailable") == set()
    cluster.node(3).start()
    wait_for("all replicas are in sync again", lambda: not ill("under-replicated"), seconds=90)
    for one in names:
        for partition in (0, 1):
            read_back(cluster, one, partition)


@pytest.mark.short
def test_log_dirs_tool_shows_the_same_size_on_every_broker(cluster, tool, placed):
    topic, other = placed([1, 2, 3]), placed([2, 3])

    def sizes(*brokers):
        text = tool("log-dirs", "--describe", "--topic-list", f"{topic},{other}", *brokers)
        return {
            entry["broker"]: {part["partition"]: part["size"] for directory in entry["logDirs"] for part in directory["partitions"]}
            for entry in json.loads(text[text.index("{") :])["brokers"]
        }

    def settled():
        found = sizes()
        whole = found[1][f"{topic}-0"]
        return found if whole > 0 and all(size == whole for partitions in found.values() for size in partitions.values()) else None

    found = wait_for("followers have what leaders have", settled)
    assert {broker: set(partitions) for broker, partitions in found.items()} == {
        1: {f"{topic}-0"}, 2: {f"{topic}-0", f"{other}-0"}, 3: {f"{topic}-0", f"{other}-0"},
    }  # fmt: skip
    assert set(sizes("--broker-list", "2,3")) == {2, 3}


@pytest.mark.short
def test_metadata_quorum_tool_shows_three_voters_and_how_far_each_is(cluster, tool, unique):
    cluster.create_topic(unique("quorum"))

    def status():
        return {key: value.strip() for key, value in (line.split(":", 1) for line in tool("metadata-quorum", "describe", "--status").splitlines())}

    found = status()
    assert sorted(voter["id"] for voter in json.loads(found["CurrentVoters"])) == [1, 2, 3]
    assert int(found["LeaderId"]) in (1, 2, 3)
    assert json.loads(found["CurrentObservers"]) == []
    assert len(found["ClusterId"]) == 22

    def caught_up():
        lines = [line.split() for line in tool("metadata-quorum", "describe", "--replication").splitlines() if line.strip()]
        rows = [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]
        # A record more may be on its way at any time.
        return rows if len(rows) == 3 and all(0 <= int(row["Lag"]) <= 5 for row in rows) else None

    rows = wait_for("every voter has caught up", caught_up)
    assert sorted(row["NodeId"] for row in rows) == ["1", "2", "3"]
    assert sorted(row["Status"] for row in rows) == ["Follower", "Follower", "Leader"]
    assert int(found["HighWatermark"]) <= max(int(row["LogEndOffset"]) for row in rows)


def test_metadata_quorum_has_another_leader_after_its_leader_was_killed(cluster, tool):
    def leader_and_epoch():
        text = tool("metadata-quorum", "describe", "--status")
        return tuple(int(re.search(rf"{key}:\s*(-?\d+)", text)[1]) for key in ("LeaderId", "LeaderEpoch"))

    leader, epoch = leader_and_epoch()
    cluster.node(leader).kill()
    survivor = next(node for node in cluster.nodes if node.number != leader)

    def moved():
        text = tools.run("metadata-quorum", "--bootstrap-server", survivor.bootstrap, "describe", "--status")
        found = tuple(int(re.search(rf"{key}:\s*(-?\d+)", text)[1]) for key in ("LeaderId", "LeaderEpoch"))
        return found if found[0] not in (leader, -1) else None

    assert wait_for("another leads", moved)[1] > epoch


@pytest.mark.short
def test_reassign_partitions_tool_moves_replicas_with_their_records(cluster, tool, placed, tmp_path):
    topic = placed([1, 2], [2, 1])
    asked = tmp_path / "topics.json"
    asked.write_text(json.dumps({"version": 1, "topics": [{"topic": topic}]}))
    text = tool("reassign-partitions", "--topics-to-move-json-file", asked, "--broker-list", "2,3", "--generate")
    current, proposed = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [part["replicas"] for part in current["partitions"]] == [[1, 2], [2, 1]]
    assert all(sorted(part["replicas"]) == [2, 3] for part in proposed["partitions"])
    wanted = tmp_path / "proposed.json"
    wanted.write_text(json.dumps(proposed))
    text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--execute", "--throttle", 50_000_000)
    assert f"Successfully started partition reassignments for {topic}-0,{topic}-1" in text
    assert "The inter-broker throttle limit was set to 50000000 B/s" in text

    def verified():
        text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--verify")
        return text if all(f"Reassignment of partition {topic}-{partition} is completed." in text for partition in (0, 1)) else None

    text = wait_for("the replicas have moved", verified)
    assert "Clearing broker-level throttles" in text and f"Clearing topic-level throttles on topic {topic}" in text
    assert "throttled" not in tool("configs", "--describe", "--entity-type", "topics", "--entity-name", topic)
    wait_for("both are in sync", lambda: all(sorted(state.in_sync) == [2, 3] for state in states(cluster, topic).values()))
    for partition in (0, 1):
        assert states(cluster, topic)[partition].replicas == proposed["partitions"][partition]["replicas"]
        read_back(cluster, topic, partition)
    assert "No partition reassignments found." in tool("reassign-partitions", "--list")


def throttles(tool, topic):
    """What the configuration says of replication throttles: {(kind, name): {key: value}}, where there is something."""
    found = {}
    for kind, name in [("brokers", 1), ("brokers", 2), ("brokers", 3), ("topics", topic)]:
        text = tool("configs", "--describe", "--entity-type", kind, "--entity-name", name)
        if settings := dict(re.findall(r"^\s+(\S+\.throttled\.\w+)=(\S*)", text, re.MULTILINE)):
            found[kind, name] = settings
    return found


@pytest.mark.short
def test_reassign_partitions_tool_with_a_throttle_moves_at_that_rate_and_holds_up_no_producer(cluster, tool, placed, tmp_path):
    rate, count, size = 4_000_000, 40, 512 << 10
    topic = placed([1, 2])
    big = batch([record(0, value=b"x" * size)])
    with Connection(cluster.leader_of(topic)) as connection:
        for _ in range(count):
            assert connection.produce(topic, 0, big, acks=-1)[0] == NONE
    wanted = placement(tmp_path / "wanted.json", topic, {0: [1, 3]})
    began = time.monotonic()
    text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--execute", "--throttle", rate)
    assert f"The inter-broker throttle limit was set to {rate} B/s" in text
    rates = {f"{side}.replication.throttled.rate": f"{rate}" for side in ("leader", "follower")}
    replicas = {"leader.replication.throttled.replicas": "0:1,0:2", "follower.replication.throttled.replicas": "0:3"}
    assert throttles(tool, topic) == {**{("brokers", number): rates for number in (1, 2, 3)}, ("topics", topic): replicas}
    slowest = 0
    with Connection(cluster.leader_of(topic)) as connection:

        def moved():
            nonlocal slowest
            sent = time.monotonic()
            assert connection.produce(topic, 0, batch([record(0)]), acks=-1)[0] == NONE
            slowest = max(slowest, time.monotonic() - sent)
            return states(cluster, topic)[0].replicas == [1, 3]

        wait_for("the replica has moved", moved)
    took, due = time.monotonic() - began, count * size / rate
    # Less than what is due: the first pieces go at once, and what is sent may not be counted yet.
    assert took > 0.7 * due, f"{count * size} bytes at {rate} a second took {took:.1f} s"
    assert slowest < 2, f"an acknowledgement by the replicas in sync took {slowest:.1f} s"
    text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--verify")
    assert f"Reassignment of partition {topic}-0 is completed." in text
    assert "Clearing broker-level throttles on brokers 1,2,3" in text and f"Clearing topic-level throttles on topic {topic}" in text
    assert throttles(tool, topic) == {}


def test_reassign_partitions_tool_lists_and_cancels_what_does_not_come_to_an_end(cluster, tool, placed, tmp_path):
    # Not to the broker that leads the metadata: without it the change would wait.
    to = 2 if "LeaderId: 3" in re.sub(r"\s+", " ", tool("metadata-quorum", "describe", "--status")) else 3
    before, after = [1, 5 - to], [1, to]
    topic = placed(before)
    # A broker that stands still is known until its session ends, and copies nothing.
    cluster.node(to).process.send_signal(signal.SIGSTOP)
    with Connection(cluster.node(1)) as connection:
        assert connection.reassign(topic, 0, after) == NONE
    cluster.node(to).kill()
    wait_for("it is given up", lambda: to not in cluster.described()[0])
    wanted = placement(tmp_path / "wanted.json", topic, {0: after})
    text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--verify", "--preserve-throttles")
    assert f"Reassignment of partition {topic}-0 is still in progress." in text
    assert re.search(rf"{topic}-0: replicas: [\d,]+\. adding: {to}\. removing: {5 - to}\.", tool("reassign-partitions", "--list"))
    # With throttles the tool would want to change those of the dead broker, too.
    text = tool("reassign-partitions", "--reassignment-json-file", wanted, "--cancel", "--preserve-throttles")
    assert re.search(rf"Successfully cancelled partition reassignments? for: {topic}-0", text)
    assert "No partition reassignments found." in tool("reassign-partitions", "--list")
    assert states(cluster, topic)[0].replicas == before
    read_back(cluster, topic, 0)


def test_reassign_partitions_tool_is_told_of_brokers_that_are_not_there(tool, placed, tmp_path):
    topic = placed([1, 2])
    with pytest.raises(tools.ToolError, match="Unknown broker id 9"):
        tool("reassign-partitions", "--reassignment-json-file", placement(tmp_path / "to-9.json", topic, {0: [1, 9]}), "--execute")


@pytest.mark.short
def test_leader_election_tool_gives_leadership_back_to_the_preferred_replica(cluster, tool, placed, tmp_path):
    topic = placed([1, 2, 3], [2, 3, 1])
    # The same replicas in another order: the preferred leader is another one, and the leader the same.
    tool("reassign-partitions", "--reassignment-json-file", placement(tmp_path / "order.json", topic, {0: [3, 2, 1]}), "--execute")
    wait_for("the order is another", lambda: states(cluster, topic)[0].replicas == [3, 2, 1])
    assert states(cluster, topic)[0].leader == 1
    of_topic = ("--topic", topic, "--partition")
    text = tool("leader-election", "--election-type", "preferred", *of_topic, 0)
    assert f"Successfully completed leader election (PREFERRED) for partitions {topic}-0" in text
    wait_for("the preferred replica leads", lambda: states(cluster, topic)[0].leader == 3)
    read_back(cluster, topic, 0)
    text = tool("leader-election", "--election-type", "preferred", *of_topic, 0)
    assert f"Valid replica already elected for partitions {topic}-0" in text
    several = tmp_path / "partitions.json"
    several.write_text(json.dumps({"partitions": [{"topic": topic, "partition": partition} for partition in (0, 1)]}))
    text = tool("leader-election", "--election-type", "preferred", "--path-to-json-file", several)
    assert "Valid replica already elected" in text and f"{topic}-1" in text


def test_leader_election_tool_is_refused_an_unclean_leader_while_there_is_one(tool, placed):
    topic = placed([1, 2, 3])
    text = tool("leader-election", "--election-type", "unclean", "--topic", topic, "--partition", 0)
    assert f"Valid replica already elected for partitions {topic}-0" in text
    with pytest.raises(tools.ToolError, match="UnknownTopicOrPartition"):
        tool("leader-election", "--election-type", "preferred", "--topic", topic, "--partition", 7)


def test_leader_election_tool_is_refused_a_preferred_leader_that_is_dead(cluster, tool, placed):
    topic = placed([3, 1, 2])
    cluster.node(3).kill()
    wait_for("another leads", lambda: states(cluster, topic)[0].leader in (1, 2))
    with pytest.raises(tools.ToolError, match="PreferredLeaderNotAvailable"):
        tool("leader-election", "--election-type", "preferred", "--topic", topic, "--partition", 0)
    read_back(cluster, topic, 0)
    cluster.node(3).start()
    cluster.wait_until_whole()
    assert "Successfully completed" in tool("leader-election", "--election-type", "preferred", "--topic", topic, "--partition", 0)
    wait_for("it leads again", lambda: states(cluster, topic)[0].leader == 3)
    read_back(cluster, topic, 0)


def test_replica_verification_tool_finds_every_replica_the_same(cluster, placed):
    """The tool reads from followers as a reader for debugging, and runs until it is stopped."""
    topic = placed([1, 2, 3])
    if not paths.JAVA_LIBRARIES.exists():
        pytest.skip(f"{paths.JAVA_LIBRARIES} is not installed")
    command = paths.java(
        tools.CLASSES["replica-verification"],
        "--broker-list", cluster.bootstrap, "--topics-include", topic, "--report-interval-ms", "1000", "--time", "-2",
    )  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        said = []
        for line in process.stdout:
            said.append(line)
            if "max lag is 0" in line:
                break
        limit.cancel()
        process.kill()
    assert "max lag is 0" in said[-1], said
    assert not any("differ" in line for line in said), said


def test_broker_api_versions_and_cluster_tools_know_every_broker(cluster, tool):
    text = tool("broker-api-versions")
    assert {int(number) for number in re.findall(r"\(id: (\d+) rack: rack-\d isFenced: false\)", text)} == {1, 2, 3}
    assert "UNKNOWN" not in text
    rows = [line.split() for line in tools.run("cluster", "list-endpoints", "--bootstrap-server", cluster.bootstrap).splitlines()[1:]]
    assert {(row[0], row[2], row[3]) for row in rows} == {(str(node.number), str(node.port), f"rack-{node.number}") for node in cluster.nodes}
    assert "isFenced" not in text or "isFenced: true" not in text
