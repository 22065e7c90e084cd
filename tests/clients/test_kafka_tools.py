"""Kafka's own tools work against the broker, and read the files that it leaves behind."""

import json
import re
import time

import pytest

from harness import tools
from harness.raw_batches import batch, record
from harness.raw_kafka import Connection
from harness.waiting import wait_for


def fill(broker, topic, partition, timestamps):
    """One record a batch, each with its own time."""
    with Connection(broker.leader_of(topic, partition)) as connection:
        for timestamp in timestamps:
            assert connection.produce(topic, partition, batch([record(0)], timestamp=timestamp), acks=-1)[0] == 0


def described(text):
    """The summary line of `topics --describe` as a dictionary, and the number of partition lines."""
    first, *partitions = [line for line in text.splitlines() if line.strip()]
    return dict(re.findall(r"(\w+): (\S*)", first)), len(partitions)


def test_topics_tool_creates_lists_describes_grows_and_deletes(broker, tool, unique):
    topic = unique("tool")
    tool("topics", "--create", "--topic", topic, "--partitions", 2, "--config", "retention.ms=86400000")
    wait_for("it is listed", lambda: topic in tool("topics", "--list").split())
    summary, partitions = described(tool("topics", "--describe", "--topic", topic))
    assert (summary["PartitionCount"], summary["ReplicationFactor"], partitions) == ("2", str(broker.replicas), 2)
    assert "retention.ms=86400000" in summary["Configs"]
    assert len(summary["TopicId"]) == 22
    tool("topics", "--alter", "--topic", topic, "--partitions", 5)
    wait_for("it has grown", lambda: described(tool("topics", "--describe", "--topic", topic))[1] == 5)
    with pytest.raises(tools.ToolError, match="Error while executing topic command"):
        tool("topics", "--alter", "--topic", topic, "--partitions", 3)
    with pytest.raises(tools.ToolError, match="Error while executing topic command"):
        tool("topics", "--create", "--topic", topic)
    tool("topics", "--delete", "--topic", topic)
    wait_for("it is not listed", lambda: topic not in tool("topics", "--list").split(), seconds=10)
    with pytest.raises(tools.ToolError, match="does not exist"):
        tool("topics", "--describe", "--topic", topic)


def test_topics_tool_is_told_what_is_wrong_with_a_topic(broker, tool, unique):
    with pytest.raises(tools.ToolError, match="Error while executing topic command"):
        tool("topics", "--create", "--topic", unique("wide"), "--replication-factor", broker.replicas + 1)
    with pytest.raises(tools.ToolError, match="Error while executing topic command"):
        tool("topics", "--create", "--topic", unique("odd"), "--config", "retention.ms=soon")


def test_get_offsets_finds_earliest_latest_max_timestamp_and_by_time(broker, tool, unique):
    topic = broker.create_topic(unique("offsets"), partitions=2)
    base = int(time.time() * 1000) - 100_000
    fill(broker, topic, 0, [base, base + 1000, base + 5000, base + 2000])
    fill(broker, topic, 1, [base + 3000])

    def offsets(when):
        lines = tool("get-offsets", "--topic", topic, "--time", when).split()
        return {int(partition): offset for _, partition, offset in (line.split(":") for line in lines)}

    assert offsets("earliest") == {0: "0", 1: "0"}
    assert offsets("latest") == {0: "4", 1: "1"}
    assert offsets("max-timestamp") == {0: "2", 1: "0"}
    assert offsets(base + 1) == {0: "1", 1: "0"}
    assert offsets(base + 1001) == {0: "2", 1: "0"}
    # After the last record's time there is no offset, and the tool leaves the partition's field empty or the line out.
    assert offsets(base + 4000).get(1, "") == ""


def test_configs_tool_alters_describes_and_resets_a_topic(broker, tool, unique):
    topic = broker.create_topic(unique("configs"))
    entity = ("--entity-type", "topics", "--entity-name", topic)
    tool("configs", *entity, "--alter", "--add-config", "retention.ms=123456,max.message.bytes=2097152")
    text = wait_for("it is altered", lambda: (text := tool("configs", *entity, "--describe")) and "retention.ms=123456" in text and text)
    assert "max.message.bytes=2097152" in text
    assert "DYNAMIC_TOPIC_CONFIG" in text
    with Connection(broker.leader_of(topic)) as connection:
        assert connection.produce(topic, 0, batch([record(0, value=b"x" * 1_500_000)]))[0] == 0, "in force at once"
    tool("configs", *entity, "--alter", "--delete-config", "retention.ms")
    text = wait_for("it is reset", lambda: "retention.ms=123456" not in (text := tool("configs", *entity, "--describe")) and text)
    assert "max.message.bytes=2097152" in text
    everything = tool("configs", *entity, "--describe", "--all")
    for key in ("cleanup.policy=delete", "compression.type=producer", f"min.insync.replicas={broker.min_in_sync}", "segment.bytes=1073741824"):
        assert key in everything
    with pytest.raises(tools.ToolError, match="InvalidConfigurationException|InvalidRequestException"):
        tool("configs", *entity, "--alter", "--add-config", "no.such.key=1")


def test_configs_tool_describes_the_broker(broker, tool):
    # ksqlDB reads this one from the broker's configuration, and fails without it.
    assert f"default.replication.factor={broker.replicas} " in tool("configs", "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all")


def test_log_dirs_tool_shows_the_size_of_each_partition(broker, tool, unique):
    topic = broker.create_topic(unique("dirs"), partitions=2)
    with Connection(broker.leader_of(topic, 1)) as connection:
        assert connection.produce(topic, 1, batch([record(0, value=b"x" * 10_000)]), acks=-1)[0] == 0
    text = tool("log-dirs", "--describe", "--topic-list", topic, "--broker-list", 1)
    [broker_entry] = json.loads(text[text.index("{") :])["brokers"]
    sizes = {entry["partition"]: entry["size"] for directory in broker_entry["logDirs"] for entry in directory["partitions"]}
    assert set(sizes) == {f"{topic}-0", f"{topic}-1"}
    assert sizes[f"{topic}-0"] == 0
    assert 10_000 < sizes[f"{topic}-1"] < 11_000


def test_delete_records_tool_moves_the_start_of_the_log(broker, tool, unique, tmp_path):
    topic = broker.create_topic(unique("trim"))
    now = int(time.time() * 1000)
    fill(broker, topic, 0, [now + number for number in range(10)])
    file = tmp_path / "offsets.json"
    file.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 4}]}))
    assert "low_watermark: 4" in tool("delete-records", "--offset-json-file", file)
    with Connection(broker.leader_of(topic)) as connection:
        assert connection.list_offset(topic, 0, -2) == (0, -1, 4)
        assert connection.list_offset(topic, 0, -1) == (0, -1, 10)
        assert connection.fetch(topic, 0, 3)[0] == 1
        assert connection.fetch(topic, 0, 4)[0] == 0
    file.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 11}]}))
    assert "OffsetOutOfRangeException" in tool("delete-records", "--offset-json-file", file)


def test_console_producer_and_perf_test_deliver_everything(broker, tool, unique):
    topic = broker.create_topic(unique("console"))
    tool("console-producer", "--topic", topic, "--reader-property", "parse.key=true", stdin="".join(f"k{i}\tline {i}\n" for i in range(100)))
    with Connection(broker.leader_of(topic)) as connection:
        assert connection.list_offset(topic, 0, -1) == (0, -1, 100)
    text = tool(
        "producer-perf-test", "--topic", topic, "--num-records", 50_000, "--record-size", 100, "--throughput", -1,
        "--command-property", "acks=all",
    )
    assert "50000 records sent" in text
    with Connection(broker.leader_of(topic)) as connection:
        assert connection.list_offset(topic, 0, -1) == (0, -1, 50_100)


def test_api_versions_tool_knows_every_version_that_is_offered(tool):
    text = tool("broker-api-versions")
    assert "Produce(0): 0 to" in text
    assert "UNKNOWN" not in text


@pytest.mark.timeout(120)
def test_dump_log_reads_the_segments_and_indexes_of_a_stopped_broker(own_broker):
    if not hasattr(own_broker, "directory"):
        pytest.skip("needs a broker whose files are here")
    topic = own_broker.create_topic("dumped", segment_bytes="1048576")
    now = int(time.time() * 1000)
    with Connection(own_broker) as connection:
        for number in range(300):
            records = [record(delta, key=b"key-%d" % number, value=b"v" * 3000) for delta in range(3)]
            assert connection.produce(topic, 0, batch(records, timestamp=now + number), acks=-1)[0] == 0
    assert own_broker.stop() == own_broker.clean_exit
    files = sorted((own_broker.directory / "data").rglob("*"))
    logs = [path for path in files if re.fullmatch(r"\d{20}\.log", path.name) and b"key-0" in path.read_bytes()[:1000]]
    [directory] = {path.parent for path in logs}
    logs = sorted(directory.glob("*.log"))
    indexes = sorted(directory.glob("*.index")) + sorted(directory.glob("*.timeindex"))
    assert len(logs) >= 2, "the segment size was obeyed"
    assert len([path for path in indexes if path.suffix == ".index"]) >= len(logs) - 1

    text = tools.run("dump-log", "--deep-iteration", "--files", ",".join(map(str, logs)))
    found = [int(offset) for offset in re.findall(r"^\| offset: (\d+)", text, re.MULTILINE)]
    assert found == list(range(900))
    assert len(re.findall(r"isvalid: true", text)) == 300
    assert "isvalid: false" not in text
    # The tool checks indexes against the log, and says so where they do not fit.
    text = tools.run("dump-log", "--files", ",".join(map(str, indexes)))
    for complaint in ("Mismatches in", "out of order", "corrupt", "Found timestamp mismatch", "not found in log"):
        assert complaint not in text
    assert len(re.findall(r"^offset: \d+ position: \d+", text, re.MULTILINE)) > 50
    assert len(re.findall(r"^timestamp: \d+ offset: \d+", text, re.MULTILINE)) > 50
