"""What is found in a corpus is what grep finds in the same text."""

import json
import subprocess
import sys
import time
from pathlib import PurePath

import pytest

import corpus
from records import produce

SHORT, LONG = 200_000, 1_000_000
PARTITIONS = 3

KAFKA_PYTHON = """
import sys
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all", linger_ms=20, batch_size=1 << 17, max_in_flight_requests_per_connection=5)
for line in sys.stdin.buffer:
    producer.send(sys.argv[2], line.rstrip(b"\\n"))
producer.flush()
"""


@pytest.fixture(scope="module")
def written(broker, is_long, tmp_path_factory):
    """The topic and the file with the same lines."""
    lines = list(corpus.lines(LONG if is_long else SHORT))
    if len(lines) < SHORT:
        pytest.skip(f"this machine has only {len(lines)} lines of text")
    path = tmp_path_factory.mktemp("corpus") / "lines"
    path.write_text("".join(line + "\n" for _, _, line in lines), "utf-8")
    broker.create_topic("corpus", PARTITIONS, **{"search.enable": "true"})
    records = (
        json.dumps({"path": path, "directory": PurePath(path).parts[1], "number": number, "line": line})
        for path, number, line in lines
    )
    began = time.monotonic()
    if is_long:
        command = [sys.executable, "-c", KAFKA_PYTHON, broker.bootstrap, "corpus"]
        subprocess.run(command, input="".join(record + "\n" for record in records).encode(), check=True, timeout=600)
    else:
        produce(broker.bootstrap, "corpus", records)
    print(f"{len(lines)} lines written in {time.monotonic() - began:.1f} s")
    assert broker.api.count("corpus", refresh="wait_for", timeout="120s") == len(lines)
    print(f"and found {time.monotonic() - began:.1f} s after the first")
    yield "corpus", path, [line for _, _, line in lines]
    broker.delete_topic("corpus")


def test_every_word_is_found_as_often_as_grep_finds_it(broker, written):
    topic, path, texts = written
    for word in corpus.words(texts, 25, seed=1):
        assert broker.api.count(topic, f"line:{word}") == corpus.grep(path, word), word


def test_phrases_are_found_as_often_as_grep_finds_them(broker, written):
    topic, path, texts = written
    for pair in corpus.phrases(texts, 15, seed=2):
        assert broker.api.count(topic, f'line:"{" ".join(pair)}"') == corpus.grep(path, *pair), pair


def test_a_record_found_is_the_record_written(broker, written):
    topic, _, texts = written
    number = len(texts) // 2
    for hit in broker.api.search(topic, {"query": {"term": {"number": number}}, "size": 50})["hits"]["hits"]:
        assert hit["_source"]["number"] == number and hit["_source"]["line"] in texts


def test_counts_of_words_add_up_over_values_of_a_field(broker, written):
    """A terms aggregation over whole strings sums up to the number of records."""
    topic, _, texts = written
    body = {"size": 0, "aggs": {"files": {"terms": {"field": "directory.keyword", "size": 10}}}}
    terms = broker.api.search(topic, body)["aggregations"]["files"]
    found = sum(bucket["doc_count"] for bucket in terms["buckets"]) + terms["sum_other_doc_count"]
    assert found == len(texts)
    first = terms["buckets"][0]
    body = {"query": {"term": {"directory.keyword": first["key"]}}}
    assert broker.api.call("POST", f"/{topic}/_count", body)["count"] == first["doc_count"]


def test_pages_hold_every_record_once(broker, written):
    topic, path, texts = written
    word = corpus.words(texts, 1, seed=3)[-2]
    hits = broker.api.everything(topic, f"line:{word}", page=777)
    places = [(hit["partition"], hit["offset"]) for hit in hits]
    assert len(places) == len(set(places)) == corpus.grep(path, word)
