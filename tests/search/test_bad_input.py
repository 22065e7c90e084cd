"""Queries and records that nobody should send."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from api import Refused
from harness.waiting import wait_for
from records import produce

MALFORMED = ["(", ")", "a AND", "OR", "a AND (b", '"a', "level:", "n:[1 TO", "n:[1 2]", "n:>", "NOT", "a AND AND b", "field:[* TO", "((((((", "\\"]
BODIES = [
    '{"query": }',
    '{"query": {"nosuch": {}}}',
    '{"query": {"match": {}}}',
    '{"query": {"match": {"a": "b", "c": "d"}}}',
    '{"query": {"range": {"n": {"above": 1}}}}',
    '{"query": {"bool": {"must": 7}}}',
    '{"query": {"bool": {"mist": []}}}',
    '{"query": {"regexp": {"a": "(a+)+$"}}}',
    '{"query": {"script_score": {}}}',
    '{"query": {"match_all": {}}, "size": -1}',
    '{"size": "x"}',
    '{"from": 1e99}',
    '{"sort": [{"n": {"order": "sideways"}}]}',
    '{"aggs": {"a": {"nosuch": {"field": "n"}}}}',
    '{"aggs": {"a": {"terms": {}}}}',
    '{"aggs": {"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "0s"}}}}',
    '{"search_after": [1, 2, 3, 4, 5, 6, 7]}',
    '{"nosuch": 1}',
    "[]",
    "null",
    '"x"',
    "\x00",
]


@pytest.fixture(scope="module")
def filled(broker):
    name = "bad-input"
    broker.create_topic(name, 1, **{"search.enable": "true"})
    produce(broker.bootstrap, name, [{"n": n, "level": "error" if n % 3 else "info", "word": f"a{n:06}"} for n in range(20_000)])
    assert broker.api.count(name, refresh="wait_for") == 20_000
    yield name
    broker.delete_topic(name)


@pytest.mark.parametrize("q", MALFORMED)
def test_a_malformed_query_is_refused_with_its_place(broker, filled, q):
    with pytest.raises(Refused) as refused:
        broker.api.native(filled, q)
    assert refused.value.status == 400, refused.value
    assert refused.value.body["code"] == "ED-4503" and refused.value.body["line"] == 1, refused.value.body
    assert 1 <= refused.value.body["col"] <= len(q) + 1, refused.value.body
    with pytest.raises(Refused) as refused:
        broker.api.search(filled, {"query": {"query_string": {"query": q}}})
    assert refused.value.status == 400 and refused.value.body["error"]["type"] == "parsing_exception"


@pytest.mark.parametrize("body", BODIES)
def test_a_malformed_body_is_refused(broker, filled, body):
    with pytest.raises(Refused) as refused:
        broker.api.call("POST", f"/{filled}/_search", body)
    assert refused.value.status == 400, refused.value
    error = refused.value.body["error"]
    assert error["reason"] and error["type"] and error["root_cause"], error


def test_unknown_topics_and_topics_without_an_index_are_told_apart(broker, filled, unique_topic):
    for name, status in (("no-such-topic", 404), ("no-such-*", 404), (unique_topic, 400)):
        with pytest.raises(Refused) as refused:
            broker.api.search(name)
        assert refused.value.status == status, refused.value
        assert refused.value.body["status"] == status


@pytest.fixture
def unique_topic(broker):
    broker.create_topic("not-indexed", 1)
    yield "not-indexed"
    broker.delete_topic("not-indexed")


@pytest.mark.parametrize(
    "q", ["*", "a*", "word:*", "word:a*", "w*o*r*d*", "?" * 200, "*" * 200 + "x", "a* AND " * 30 + "a*", "(" * 2000 + "a" + ")" * 2000, "a " * 100_000]
)
def test_a_bomb_is_answered_or_refused_in_time(broker, filled, q):
    began, before = time.monotonic(), broker.rss_bytes()
    try:
        broker.api.search(filled, {"query": {"query_string": {"query": q}}, "size": 1, "timeout": "2s"})
    except Refused as refused:
        assert refused.status in (400, 413, 429, 504), refused
    assert time.monotonic() - began < 10
    assert broker.rss_bytes() - before < 200 << 20
    assert broker.api.count(filled, "level:info") == 6667


def test_deep_and_wide_bodies_are_refused(broker, filled):
    deep = '{"query":' + '{"bool":{"must":' * 5000 + '{"match_all":{}}' + "}}" * 5000 + "}"
    wide = json.dumps({"query": {"terms": {"word": [f"a{n:06}" for n in range(70_000)]}}})
    long = json.dumps({"query": {"match": {"word": "x" * (1 << 20)}}})
    for body, statuses in ((deep, (400,)), (wide, (400, 200)), (long, (413,))):
        status, _, _ = broker.api.raw("POST", f"/{filled}/_search", body)
        assert status in statuses, (status, body[:60])
    buckets = {"size": 0, "aggs": {"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms"}}}}
    status, _, _ = broker.api.raw("POST", f"/{filled}/_search", json.dumps(buckets))
    assert status in (200, 400)


def test_records_that_no_index_likes_are_found_by_what_they_have(broker, topic):
    name = topic(**{"max.message.bytes": str(20 << 20)})
    deep = '{"a":' * 1000 + "1" + "}" * 1000
    values = [
        deep,
        b"\xff\xfe\x00\x01binary",
        None,
        "",
        "not json { at all",
        {"n": "text"},
        {"n": 1},
        {"n": 1.5},
        {"n": {"n": 1}},
        {"n": [1, "a", None, {"b": 1}]},
        {"n": None},
        {"": 1, ".": 2, "a..b": 3, "_offset": 4, "@timestamp": "x"},
        '{"a": 1, "a": 2}',
        {"huge": 1e308, "big": 1 << 70},
        "x" * (2 << 20),
        json.dumps({"blob": "word " * (2 << 20)}),
        "   ",
        "[1, 2, 3]",
        "7",
        {"last": "needle"},
    ]
    produce(broker.bootstrap, name, values, partition=0, **{"message.max.bytes": 20 << 20})
    assert broker.api.count(name, refresh="wait_for") == len(values)
    found = broker.api.everything(name, page=5)
    assert [hit["offset"] for hit in found] == list(range(len(values)))
    assert broker.api.count(name, "needle") == 1
    assert broker.api.count(name, "n:1") >= 1
    assert broker.api.count(name, "n:text") == 1
    assert broker.api.count(name, '"not json"') == 1
    assert broker.api.call("GET", f"/{name}/_mapping")
    assert broker.api.call("GET", f"/{name}/_field_caps", fields="*")


def test_a_record_with_ten_thousand_fields_is_found_by_what_it_has(broker, topic):
    name = topic()
    produce(broker.bootstrap, name, [{f"field{n}": f"word{n}" for n in range(10_000)}, {"last": "needle"}])
    assert broker.api.count(name, refresh="wait_for") == 2
    for word in ("word1", "word9999", "needle"):
        assert broker.api.count(name, word) == 1, word


def index_directories(broker):
    root = broker.directory / "data" / "index"
    return sorted(root.iterdir()) if root.exists() else []


def bytes_of(directory):
    # A walk passes over directories that go meanwhile.
    return sum(size_of(Path(parent) / name) for parent, _, names in os.walk(directory) for name in names)


def size_of(file):
    """0 when it is gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def of_another_tantivy(manifest):
    """Makes an index one of another version of the library: its manifest is whole, and says so."""
    text = manifest.read_text().splitlines()[0]
    forged = re.sub(r'"library":(\d+)', lambda found: f'"library":{int(found[1]) - 1}', text)
    assert forged != text
    manifest.write_text(f"{forged}\n{crc32c(forged.encode()):08x}\n")


@pytest.mark.parametrize("harm", ["delete", "truncate", "scribble", "manifest", "version"])
def test_a_damaged_index_is_built_again(own_broker, harm):
    broker = own_broker
    broker.create_topic("damaged", 1, **{"search.enable": "true"})
    broker.create_topic("untouched", 1, **{"search.enable": "true"})
    for name in ("damaged", "untouched"):
        produce(broker.bootstrap, name, [{"n": n, "word": f"w{n % 7}"} for n in range(7000)])
        assert broker.api.count(name, refresh="wait_for") == 7000
    broker.stop()
    # The topic that was indexed first has the directory whose id the first topic has: harm that of one topic only.
    target = index_directories(broker)[0]
    files = sorted((path for path in target.rglob("*") if path.is_file()), key=lambda path: -path.stat().st_size)
    if harm == "delete":
        shutil.rmtree(target)
    elif harm == "truncate":
        os.truncate(files[0], files[0].stat().st_size // 2)
    elif harm == "scribble":
        with open(files[0], "r+b") as file:
            for at in range(0, files[0].stat().st_size, 512):
                file.seek(at)
                file.write(b"\xa5" * 64)
    elif harm == "version":
        of_another_tantivy(target / "manifest.json")
    else:
        (target / "manifest.json").write_bytes(b"{}")
    broker.start()
    for name in ("damaged", "untouched"):
        def counts():
            try:
                return broker.api.count(name, refresh="wait_for") == 7000 and broker.api.count(name, "word:w3") == 1000
            except (Refused, AssertionError):
                return False

        wait_for(f"topic {name} to be whole after {harm}", counts, 30)
    for hit in broker.api.everything("damaged", "word:w5"):
        assert hit["value"]["word"] == "w5"
    if harm != "delete":
        assert broker.api.metrics()["eddy_index_rebuilds_total"] == 1
        said = [line for line in broker.log_tail(1000).splitlines() if "made anew from the log" in line]
        assert len(said) == 1 and (harm != "version" or "of another version" in said[0]), said


def test_deleting_the_directory_under_a_running_broker_is_survived(own_broker):
    broker = own_broker
    broker.create_topic("swept", 1, **{"search.enable": "true"})
    produce(broker.bootstrap, "swept", [{"n": n} for n in range(1000)])
    assert broker.api.count("swept", refresh="wait_for") == 1000
    for directory in index_directories(broker):
        shutil.rmtree(directory)
    produce(broker.bootstrap, "swept", [{"n": n} for n in range(1000)])
    # What is open stays searchable or not; the broker takes records all the same, and a restart mends it.
    broker.stop()
    broker.start()
    assert broker.api.count("swept", refresh="wait_for", timeout="60s") == 2000


def test_what_is_deleted_is_not_found_and_frees_the_disk(own_broker):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient, ConfigResource

    broker = own_broker
    broker.create_topic("gone", 1, **{"search.enable": "true"})
    produce(broker.bootstrap, "gone", [{"n": n, "word": "present"} for n in range(5000)])
    assert broker.api.count("gone", "word:present", refresh="wait_for") == 5000
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    done = admin.delete_records([TopicPartition("gone", 0, 3000)])
    next(iter(done.values())).result(20)
    wait_for("deleted records to be out of the answers", lambda: broker.api.count("gone", "word:present") == 2000, 10)
    assert broker.api.everything("gone", page=500)[0]["offset"] == 3000

    used = sum(map(bytes_of, index_directories(broker)))
    assert used > 0
    broker.delete_topic("gone")
    wait_for("the index of a deleted topic to free the disk", lambda: not sum(map(bytes_of, index_directories(broker))), 30)
    with pytest.raises(Refused) as refused:
        broker.api.count("gone")
    assert refused.value.status == 404

    # The same name is another topic.
    broker.create_topic("gone", 1, **{"search.enable": "true"})
    assert broker.api.count("gone", refresh="wait_for") == 0
    produce(broker.bootstrap, "gone", [{"word": "new"}])
    assert broker.api.count("gone", refresh="wait_for") == 1

    # Switched off, the index goes, and the records stay.
    resource = ConfigResource(ConfigResource.Type.TOPIC, "gone", {"search.enable": "false"})
    admin.alter_configs([resource])[resource].result(20)
    wait_for("the index to be removed", lambda: not sum(map(bytes_of, index_directories(broker))), 30)
    with pytest.raises(Refused) as refused:
        broker.api.count("gone")
    assert refused.value.status == 400
