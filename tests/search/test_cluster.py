"""Search in a cluster of three while one of them dies."""

import threading

from api import Refused
from harness.waiting import wait_for
from records import consume, produce

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
