"""Kafka's own tools for groups, and those that need a group or the cluster, say about this broker what they say about Apache Kafka."""

import json
import re
import subprocess
import time

import pytest

from harness import paths, tools
from harness.clients import CLIENTS
from harness.raw_batches import batch, record
from harness.raw_kafka import Connection
from harness.waiting import wait_for

SECOND = 1000


@pytest.fixture
def groups(tool):
    return lambda *arguments: tool("consumer-groups", *arguments)


@pytest.fixture
def topic(broker, unique):
    """Two partitions: ten records, a second from one to the next, and five of them."""
    topic = broker.create_topic(unique("grouped"), 2)
    for partition, count in ((0, 10), (1, 5)):
        with Connection(broker.leader_of(topic, partition)) as connection:
            for number in range(count):
                data = batch([record(0, value=b"value-%d" % number)], timestamp=began() + number * SECOND)
                assert connection.produce(topic, partition, data, acks=-1)[0] == 0
    return topic


def began(started=int(time.time() * 1000) // SECOND * SECOND - 3_600_000):
    """When the first record of `topic` was written."""
    return started


def table(text):
    """The rows of a table whose columns have one-word titles, as dictionaries."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    title = next(number for number, words in enumerate(lines) if words[0] in ("GROUP", "TOPIC", "NodeId"))
    return [dict(zip(lines[title], words, strict=False)) for words in lines[title + 1 :]]


def offsets(text, column="CURRENT-OFFSET"):
    return {int(row["PARTITION"]): int(row[column]) for row in table(text)}


@pytest.mark.parametrize("assignment", ["range", "consumer"])
def test_consumer_groups_tool_shows_a_group_and_spares_it_while_it_has_members(broker, groups, tool, members, topic, unique, assignment):
    group = unique("shown")
    member = members.start(CLIENTS["confluent-kafka"], group, [topic], assignment=assignment)
    member.wait(lambda member: member.committed >= 15, "reads everything")
    kind, assignor = {"range": ("Classic", "range"), "consumer": ("Consumer", "uniform")}[assignment]
    of_group = ("--group", group)

    assert [row for row in table(groups("--list", "--state", "--type")) if row["GROUP"] == group] == [
        {"GROUP": group, "TYPE": kind, "STATE": "Stable"}
    ]
    assert group in groups("--list", "--state", "stable")
    assert group not in groups("--list", "--state", "empty")
    assert group in groups("--list", "--type", kind.lower())
    listed = table(tool("groups", "--list", "--group-type", kind.lower()))
    assert {"GROUP": group, "TYPE": kind, "PROTOCOL": "consumer"} in listed

    rows = table(groups("--describe", *of_group))
    positions = {(row["PARTITION"], row["CURRENT-OFFSET"], row["LOG-END-OFFSET"], row["LAG"]) for row in rows}
    assert positions == {("0", "10", "10", "0"), ("1", "5", "5", "0")}
    assert {row["CLIENT-ID"] for row in rows} == {"rdkafka"} and {row["HOST"] for row in rows} == {"/127.0.0.1"}
    [row] = table(groups("--describe", *of_group, "--members", "--verbose"))
    assert (row["#PARTITIONS"], row["CURRENT-ASSIGNMENT"]) == ("2", f"{topic}:0,1")
    if assignment == "consumer":
        assert row["TARGET-ASSIGNMENT"] == row["CURRENT-ASSIGNMENT"] and row["CURRENT-EPOCH"] == row["TARGET-EPOCH"]
    coordinator, *state = groups("--describe", *of_group, "--state").split()[-4:]
    assert coordinator in ("(1)", "(2)", "(3)")[: broker.replicas]
    assert state == [assignor, "Stable", "1"]

    assert "GroupNotEmptyException" in groups("--delete", *of_group)
    assert groups("--delete-offsets", *of_group, "--topic", topic).count("GroupSubscribedToTopicException") == 2
    assert "is inactive, but the current state is Stable" in groups("--reset-offsets", *of_group, "--topic", topic, "--to-earliest", "--execute")

    member.close()
    out, err = tools.run_for_both("consumer-groups", "--bootstrap-server", members.broker.bootstrap, "--describe", *of_group)
    assert offsets(out) == {0: 10, 1: 5}
    assert f"Consumer group '{group}' has no active members." in err
    assert groups("--describe", *of_group, "--state").split()[-2:] == ["Empty", "0"]
    assert "was successful" in groups("--delete", *of_group)
    assert group not in groups("--list").split()


def test_consumer_groups_tool_resets_offsets_in_every_way(groups, topic, unique, tmp_path):
    group = unique("reset")

    def reset(*how, where=("--all-topics",), action=("--execute",)):
        return offsets(groups("--reset-offsets", "--group", group, *where, *how, *action), "NEW-OFFSET")

    # A group that nobody has heard of comes to be by its first reset.
    assert reset("--to-latest", where=("--topic", topic)) == {0: 10, 1: 5}
    assert reset("--to-earliest", action=("--dry-run",)) == {0: 0, 1: 0}
    assert offsets(groups("--describe", "--group", group)) == {0: 10, 1: 5}
    assert reset("--to-earliest") == {0: 0, 1: 0}
    assert reset("--to-offset", 4, where=("--topic", f"{topic}:0")) == {0: 4}
    assert offsets(groups("--describe", "--group", group)) == {0: 4, 1: 0}
    assert reset("--shift-by", 2) == {0: 6, 1: 2}
    assert reset("--shift-by", 100) == {0: 10, 1: 5}
    assert reset("--shift-by", -3) == {0: 7, 1: 2}
    assert reset("--to-current") == {0: 7, 1: 2}
    third = time.strftime("%Y-%m-%dT%H:%M:%S.000", time.gmtime(began() / SECOND + 3))
    assert reset("--to-datetime", third) == {0: 3, 1: 3}
    assert reset("--by-duration", "P1D") == {0: 0, 1: 0}
    assert reset("--by-duration", "PT1S") == {0: 10, 1: 5}
    saved = tmp_path / "offsets.csv"
    text = groups("--reset-offsets", "--group", group, "--all-topics", "--shift-by", -1, "--export", "--dry-run")
    assert sorted(text.split()) == [f"{topic},0,9", f"{topic},1,4"]
    saved.write_text(text)
    assert reset("--from-file", saved, where=()) == {0: 9, 1: 4}
    rows = table(groups("--describe", "--group", group))
    assert {(row["PARTITION"], row["CURRENT-OFFSET"], row["LAG"]) for row in rows} == {("0", "9", "1"), ("1", "4", "1")}

    assert "Successful" in groups("--delete-offsets", "--group", group, "--topic", f"{topic}:1")
    assert offsets(groups("--describe", "--group", group)) == {0: 9}
    assert "was successful" in groups("--delete", "--group", group)
    assert "GroupIdNotFoundException" in groups("--delete", "--group", group)
    assert "GroupIdNotFoundException" in groups("--describe", "--group", group)


def test_console_consumer_goes_on_where_its_group_was(tool, groups, topic, unique):
    group = unique("console")
    read = tool("console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", 12, "--timeout-ms", 20_000)
    assert len(read.split()) == 12
    rest = tool("console-consumer", "--topic", topic, "--group", group, "--max-messages", 3, "--timeout-ms", 20_000)
    assert sorted(read.split() + rest.split()) == sorted([f"value-{number}" for number in range(10)] + [f"value-{number}" for number in range(5)])
    assert offsets(groups("--describe", "--group", group)) == {0: 10, 1: 5}
    text = tool(
        "console-consumer", "--topic", topic, "--partition", 0, "--offset", 7, "--max-messages", 2, "--timeout-ms", 20_000,
        "--formatter-property", "print.offset=true", "--formatter-property", "print.timestamp=true",
    )
    lines = [[f"CreateTime:{began() + number * SECOND}", f"Offset:{number}", f"value-{number}"] for number in (7, 8)]
    assert [line.split() for line in text.splitlines()] == lines


def test_performance_tools_read_what_there_is(tool, topic):
    text = tool("consumer-perf-test", "--topic", topic, "--num-records", 15, "--timeout", 20_000)
    columns = dict(zip(*(line.split(", ") for line in text.strip().splitlines()), strict=True))
    assert columns["data.consumed.in.nMsg"] == "15"
    text = tool("e2e-latency", "--topic", topic, "--num-records", 20, "--producer-acks", "all", "--record-size", 100)
    assert float(re.search(r"Avg latency: ([0-9.]+) ms", text)[1]) > 0
    ends = {line.split(":")[1]: int(line.split(":")[2]) for line in tool("get-offsets", "--topic", topic).split()}
    assert sum(ends.values()) == 15 + 20


def test_verifiable_producer_and_consumer_agree(broker, unique):
    """They end by signals and hooks of the process, so each has one of its own."""
    topic = broker.create_topic(unique("verifiable"))

    def events(tool, *arguments):
        command = paths.java(tools.CLASSES[tool], "--bootstrap-server", broker.bootstrap, "--topic", topic, *arguments)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    if not paths.JAVA_LIBRARIES.exists():
        pytest.skip(f"{paths.JAVA_LIBRARIES} is not installed")
    produced = events("verifiable-producer", "--max-messages", "500")
    assert produced[-1]["name"] == "tool_data" and produced[-1]["acked"] == 500
    consumed = events("verifiable-consumer", "--group-id", unique("verifiable"), "--max-messages", "500", "--reset-policy", "earliest")
    names = [event["name"] for event in consumed]
    assert names[0] == "startup_complete" and {"partitions_assigned", "shutdown_complete"} <= set(names)
    assert sum(event["count"] for event in consumed if event["name"] == "records_consumed") == 500
    commits = [event for event in consumed if event["name"] == "offsets_committed"]
    assert all(event["success"] for event in commits)
    assert commits[-1]["offsets"] == [{"topic": topic, "partition": 0, "offset": 500}]


@pytest.mark.one_node
def test_cluster_features_and_quorum_tools_describe_the_cluster(broker):
    def ask(tool, verb, *arguments):
        before = (verb,) if tool == "cluster" else ()
        after = () if tool == "cluster" else (verb,)
        return tools.run(tool, *before, "--bootstrap-server", broker.bootstrap, *after, *arguments)

    [cluster] = re.findall(r"Cluster ID: (\S{22})$", ask("cluster", "cluster-id"), re.MULTILINE)
    [node] = [line.split() for line in ask("cluster", "list-endpoints").splitlines()[1:]]
    assert node[:3] == ["1", broker.host, str(broker.port)]
    features = {line.split()[1]: line.split()[-3] for line in ask("features", "describe").splitlines()}
    assert features["group.version"] == "1"
    assert features["metadata.version"] == "4.3-IV0"
    status = dict(line.split(":", 1) for line in ask("metadata-quorum", "describe", "--status").splitlines())
    assert (status["ClusterId"].strip(), status["LeaderId"].strip(), status["MaxFollowerLag"].strip()) == (cluster, "1", "0")
    assert [voter["id"] for voter in json.loads(status["CurrentVoters"])] == [1]
    [row] = table(ask("metadata-quorum", "describe", "--replication"))
    assert (row["NodeId"], row["Lag"], row["Status"]) == ("1", "0", "Leader")
    assert int(status["HighWatermark"]) <= int(row["LogEndOffset"])


@pytest.mark.parametrize(
    ("kind", "key", "value", "source", "unknown"),
    [
        ("groups", "consumer.session.timeout.ms", "50000", "DYNAMIC_GROUP_CONFIG", "InvalidConfigurationException"),
        ("client-metrics", "interval.ms", "7000", "DYNAMIC_CLIENT_METRICS_CONFIG", "InvalidRequestException"),
    ],
)
def test_configs_tool_alters_groups_and_client_metrics(tool, unique, kind, key, value, source, unknown):
    entity = ("--entity-type", kind, "--entity-name", unique("entity"))
    tool("configs", *entity, "--alter", "--add-config", f"{key}={value}")
    described = f"  {key}={value} sensitive=false synonyms={{{source}:{key}={value}"
    wait_for(described, lambda: described in tool("configs", *entity, "--describe"))
    assert entity[3] in tool("configs", "--entity-type", kind, "--describe")
    assert f"  {key}={value} " in tool("configs", *entity, "--describe", "--all")
    tool("configs", *entity, "--alter", "--delete-config", key)
    wait_for("it is gone", lambda: "doesn't exist and doesn't have dynamic config" in tool("configs", *entity, "--describe"))
    with pytest.raises(tools.ToolError, match=unknown):
        tool("configs", *entity, "--alter", "--add-config", f"{key}=1")
    with pytest.raises(tools.ToolError, match=unknown):
        tool("configs", *entity, "--alter", "--add-config", "no.such.key=1")


def test_configs_tool_alters_one_broker_and_the_default_of_all(own_broker):
    def configs(*arguments):
        return tools.run("configs", "--bootstrap-server", own_broker.bootstrap, "--entity-type", "brokers", *arguments)

    one, default = ("--entity-name", "1"), ("--entity-default",)
    configs(*default, "--alter", "--add-config", "message.max.bytes=3000000")
    configs(*one, "--alter", "--add-config", "message.max.bytes=2000000")
    expected = (
        "message.max.bytes=2000000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:message.max.bytes=2000000, "
        "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=3000000, DEFAULT_CONFIG:message.max.bytes=1048588}"
    )
    # Kafka answers before the broker itself has heard of the change.
    deadline = time.monotonic() + 10
    while expected not in (text := configs(*one, "--describe")):
        assert time.monotonic() < deadline, text
    topic = own_broker.create_topic("large")
    with Connection(own_broker) as connection:
        assert connection.produce(topic, 0, batch([record(0, value=b"x" * 1_500_000)]))[0] == 0
    configs(*one, "--alter", "--delete-config", "message.max.bytes")
    assert "message.max.bytes=3000000" in configs("--describe").split("Default configs")[1]
    configs(*default, "--alter", "--delete-config", "message.max.bytes")
    assert "message.max.bytes" not in configs("--describe")


def test_client_metrics_tool_keeps_subscriptions(tool, unique):
    name = unique("subscription")
    settings = ("--metrics", "org.apache.kafka.consumer.,org.apache.kafka.producer.", "--interval", 5000, "--match", "client_id=x")
    tool("client-metrics", "--alter", "--name", name, *settings)
    wait_for("it is listed", lambda: name in tool("client-metrics", "--list").split())
    expected = ["interval.ms=5000", "match=client_id=x", "metrics=org.apache.kafka.consumer.,org.apache.kafka.producer."]

    def is_described():
        return [line.strip() for line in tool("client-metrics", "--describe", "--name", name).splitlines()[1:]] == expected

    wait_for("it is described as it was made", is_described)
    with pytest.raises(tools.ToolError, match="must be between 100 and 3600000"):
        tool("client-metrics", "--alter", "--name", name, "--interval", 10)
    tool("client-metrics", "--delete", "--name", name)
    wait_for("it is gone", lambda: name not in tool("client-metrics", "--list").split())
