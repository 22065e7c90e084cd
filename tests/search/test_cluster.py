"""Search in a cluster of three while one of them dies."""

import os
import signal
import threading
import time

from api import Refused
from commands import run
from harness.waiting import wait_for
from records import Writer, consume, produce

TOPIC = "spread"
PARTITIONS = 6
RECORDS = 3000


def test_any_broker_answers_and_a_dead_leader_costs_only_its_part(cluster):
    cluster.create_topic(TOPIC, PARTITIONS, **{"search.enable": "true"})
    bootstrap = ",".join(node.bootstrap for node in cluster.nodes)
    produce(bootstrap, TOPIC, [{"n": n, "word": f"w{n % 10}"} for n in range(RECORDS)])
    for node in cluster.nodes:
        assert node.api.count(TOPIC, refresh="wait_for") == RECORDS
        assert node.api.count(TOPIC, "word:w3") == RECORDS // 10
    hits = cluster.nodes[2].api.everything(TOPIC, "word:w3", page=37)
    assert len({(hit["partition"], hit["offset"]) for hit in hits}) == len(hits) == RECORDS // 10
    assert all(hit["value"]["word"] == "w3" for hit in hits)

    leader = cluster.leader_of(TOPIC, 0)
    others = [node for node in cluster.nodes if node is not leader]
    answers, over = [], threading.Event()

    def ask(node):
        while not over.is_set():
            try:
                answers.append(node.api.search(TOPIC, {"size": 0, "track_total_hits": True}, refresh="wait_for", timeout="2s"))
            except (Refused, OSError) as error:
                answers.append(error)

    askers = [threading.Thread(target=ask, args=(node,)) for node in others]
    for asker in askers:
        asker.start()
    wait_for("answers", lambda: len(answers) > 5)
    leader.kill()
    killed = len(answers)

    def is_whole_again():
        last = answers[-1]
        return len(answers) > killed + 5 and isinstance(last, dict) and not last["_shards"]["failed"]

    try:
        wait_for("whole answers from those who are left", is_whole_again, 90)
    finally:
        over.set()
        for asker in askers:
            asker.join()
    for answer in answers:
        if isinstance(answer, dict):
            total, shards = answer["hits"]["total"]["value"], answer["_shards"]
            # Never a number that pretends to be everything.
            assert total == RECORDS or (total < RECORDS and shards["failed"] > 0), answer
        else:
            assert isinstance(answer, Refused) and answer.status in (503, 504), answer
    # Who leads now indexes what it leads now.
    for node in others:
        assert node.api.count(TOPIC, "word:w3", refresh="wait_for", timeout="60s") == RECORDS // 10
    produce(",".join(node.bootstrap for node in others), TOPIC, [{"n": n, "word": "late"} for n in range(100)])
    assert others[0].api.count(TOPIC, "word:late", refresh="wait_for", timeout="60s") == 100

    leader.launch()
    leader.wait_until_ready()
    cluster.wait_until_whole()
    assert leader.api.count(TOPIC, refresh="wait_for", timeout="60s") == RECORDS + 100
    assert len(consume(bootstrap, TOPIC, PARTITIONS)) == RECORDS + 100


def test_any_broker_tells_how_far_the_whole_index_is(cluster, tmp_path):
    first, second, third = cluster.nodes
    name = "told"
    cluster.create_topic(name, PARTITIONS)
    bootstrap = ",".join(node.bootstrap for node in cluster.nodes)
    produce(bootstrap, name, [{"n": n} for n in range(RECORDS)])
    # The progress that is waited for is of all partitions, wherever they are led.
    code, out, err = run(second, tmp_path, "topic", "alter", name, "--set", "search.enable=true", "--wait")
    assert code == 0 and f"{RECORDS} records are searchable" in err, (out, err)
    for node in cluster.nodes:
        assert node.api.count(name) == RECORDS
        partitions = node.api.status(name)
        assert [one["partition"] for one in partitions] == list(range(PARTITIONS))
        assert {one["node"] for one in partitions} == {1, 2, 3}
        assert sum(one["records"] for one in partitions) == RECORDS
        assert all(one["lag_records"] == 0 and one["state"] == "following" for one in partitions), partitions
        code, out, err = run(node, tmp_path, "topic", "describe", name)
        assert code == 0 and f"\nindex: {RECORDS} records · " in out and "lag 0 records" in out, (out, err)
        (row,) = node.api.call("GET", f"/_cat/indices/{name}", format="json")
        assert (row["health"], row["docs.count"], row["pri"]) == ("green", str(RECORDS), str(PARTITIONS)), row

    # A broker that does not answer is waited for as long as was said, and named.
    os.kill(third.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        told = first.api.call("GET", "/v1/search/status", topics=name, timeout="500ms")
        assert time.monotonic() - began < 3
        known = [one["partition"] for one in told["topics"][0]["partitions"]]
        assert sorted(known + [one["partition"] for one in told["partial"]]) == list(range(PARTITIONS))
        assert {one["node"] for one in told["partial"]} == {3} and all(one["reason"] for one in told["partial"]), told
        (row,) = first.api.call("GET", f"/_cat/indices/{name}", format="json", timeout="500ms")
        assert row["health"] == "red" and {one["node"] for one in row["partial"]} == {3}, row

        # Others lead its partitions before long, and index them.
        def is_whole():
            told = first.api.call("GET", "/v1/search/status", topics=name, timeout="500ms")
            return "partial" not in told and sum(one["records"] for one in told["topics"][0]["partitions"]) == RECORDS

        wait_for("those who are left to tell of all partitions", is_whole, 90)
    finally:
        os.kill(third.process.pid, signal.SIGCONT)


def test_a_leader_that_indexed_as_a_follower_finds_everything_once(cluster):
    name, partitions = "everywhere", 3
    cluster.create_topic(name, partitions, **{"search.enable": "true", "search.replicas": "all"})
    bootstrap = ",".join(node.bootstrap for node in cluster.nodes)
    produce(bootstrap, name, [{"number": -n, "word": "early"} for n in range(1, RECORDS + 1)])
    indexed = lambda node: node.api.metrics().get("eddy_index_searchable_records", 0)  # noqa: E731
    wait_for("every replica to index every record", lambda: [indexed(node) for node in cluster.nodes] == [RECORDS] * 3)

    # What its followers have indexed, they need not index again to lead.
    leader = cluster.leader_of(name)
    leader.kill()
    others = [node for node in cluster.nodes if node is not leader]
    for node in others:
        assert node.api.count(name, "word:early", refresh="wait_for", timeout="60s") == RECORDS
        assert node.api.metrics()["eddy_index_records_total"] == RECORDS
    leader.launch()
    leader.wait_until_ready()
    cluster.wait_until_whole()

    writer = Writer(bootstrap, name)
    writer.start()
    for round in range(1, 3):
        wait_for("records to be written", lambda: writer.acknowledged > round * 1000)
        leader = cluster.leader_of(name)
        leader.kill()
        killed = writer.acknowledged
        wait_for("another leader", lambda: writer.acknowledged > killed + 1000)
        leader.launch()
        leader.wait_until_ready()
        cluster.wait_until_whole()
    acknowledged = RECORDS + writer.end()
    written = sorted((partition, offset) for partition, offset, _ in consume(bootstrap, name, partitions))
    assert len(written) == acknowledged
    for node in cluster.nodes:
        found = node.api.everything(name, page=10_000, refresh="wait_for", timeout="60s")
        assert sorted((hit["partition"], hit["offset"]) for hit in found) == written
        assert len({hit["value"]["number"] for hit in found}) == acknowledged
    # Leaders tell of their own indexes only: all of them say the same.
    assert node.api.count(name, "word:early") + sum(node.api.count(name, f"word:w{word}") for word in range(Writer.words)) == acknowledged
    wait_for("every replica to have every record", lambda: [indexed(node) for node in cluster.nodes] == [acknowledged] * 3)
