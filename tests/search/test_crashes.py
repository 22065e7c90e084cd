"""Kills while records are indexed: afterwards each is found, and found once."""

import random
import time

from records import Writer, consume, produce

ROUNDS, ROUNDS_LONG = 3, 50
TOPIC = "crashes"
PARTITIONS = 2


def test_every_record_is_found_exactly_once_after_kills(own_broker, is_long):
    broker, rng = own_broker, random.Random(7)
    broker.create_topic(TOPIC, PARTITIONS, **{"search.enable": "true"})
    writer = Writer(broker.bootstrap, TOPIC)
    writer.start()
    for _ in range(ROUNDS_LONG if is_long else ROUNDS):
        # Commits of the index are about a second apart: before, within and after one.
        time.sleep(rng.uniform(0.1, 2.5))
        broker.kill()
        broker.start()
    acknowledged = writer.end()
    written = sorted((partition, offset) for partition, offset, _ in consume(broker.bootstrap, TOPIC, PARTITIONS))
    assert len(written) == acknowledged
    found = broker.api.everything(TOPIC, page=10_000, refresh="wait_for", timeout="120s")
    assert sorted((hit["partition"], hit["offset"]) for hit in found) == written
    numbers = [hit["value"]["number"] for hit in found]
    assert len(numbers) == len(set(numbers)) == len(written)
    # An index that counts a record twice shows it here, whatever the pages do.
    by_word = sum(broker.api.count(TOPIC, f"word:w{word}") for word in range(Writer.words))
    assert by_word == len(written)


def test_a_clean_restart_indexes_nothing_again(own_broker):
    broker = own_broker
    broker.create_topic("restarts", 1, **{"search.enable": "true"})
    produce(broker.bootstrap, "restarts", [{"n": n} for n in range(5000)])
    assert broker.api.count("restarts", refresh="wait_for") == 5000
    broker.stop()
    broker.start()
    assert broker.api.count("restarts", refresh="wait_for") == 5000
    assert broker.api.metrics().get("eddy_index_records_total", 0) == 0
