"""Every client reads what every client wrote: bytes, nulls, headers, timestamps, order and offsets, for each codec and acks."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from harness.clients import CLIENTS
from harness.records import PARTITIONS, interleaved

PROCESSES = 3
CLOCK_SLACK_MS = 5_000


def jobs_of(client, unique, restarts):
    """The client's jobs by what they vary: its codecs at the strongest setting, then the weaker settings, which promise less when brokers
    come and go."""
    settings = {codec: (codec, -1, client.idempotence) for codec in client.codecs}
    if not restarts:
        settings |= {"acks1": ("gzip", 1, False), "acksall": ("none", -1, False)}
    if client.acks0 and not restarts:
        settings["acks0"] = ("none", 0, False)
    return {
        name: {
            "topic": unique(f"matrix-{client.name}-{name}"),
            "codec": codec,
            "acks": acks,
            "idempotent": idempotent,
            "records": interleaved(client, seed),
        }
        for seed, (name, (codec, acks, idempotent)) in enumerate(settings.items())
    }


class Outcome:
    """What a driver did, or why it did not, to be told in each test that depends on it."""

    def __init__(self, action):
        self.value, self.skipped, self.failed = None, None, None
        try:
            self.value = action()
        except pytest.skip.Exception as skip:
            self.skipped = str(skip)
        except Exception as error:
            self.failed = repr(error)

    def get(self):
        if self.skipped:
            pytest.skip(self.skipped)
        if self.failed:
            pytest.fail(self.failed, pytrace=False)
        return self.value


class Matrix:
    def __init__(self, broker, unique, directory, restarts):
        self.started_ms = time.time() * 1000 - CLOCK_SLACK_MS
        self.jobs = {name: jobs_of(client, unique, restarts) for name, client in CLIENTS.items()}
        for jobs in self.jobs.values():
            for job in jobs.values():
                broker.create_topic(job["topic"], partitions=PARTITIONS)
        with ThreadPoolExecutor(PROCESSES) as pool:
            self.answers = self.run_all(pool, restarts, lambda client: client.produce(broker.bootstrap, self.jobs[client.name].values(), directory))
            written = [name for name, outcome in self.answers.items() if outcome.value is not None]
            topics = [job["topic"] for name in written for job in self.jobs[name].values()]
            # Not while brokers restart: two of the clients give up when one that they ask where to begin is just gone.
            self.read = self.run_all(pool, None, lambda client: client.consume(broker.bootstrap, topics, directory))
        self.ended_ms = time.time() * 1000 + CLOCK_SLACK_MS

    @staticmethod
    def run_all(pool, restarts, action):
        """{client: what became of it}; a broker is restarted meanwhile if `restarts` is given."""
        outcomes = {name: pool.submit(Outcome, partial(action, client)) for name, client in CLIENTS.items()}
        if restarts:
            restarts(lambda: not all(outcome.done() for outcome in outcomes.values()))
        return {name: outcome.result() for name, outcome in outcomes.items()}


@pytest.fixture(scope="module")
def matrix(broker, unique, tmp_path_factory, restarts):
    return Matrix(broker, unique, tmp_path_factory.mktemp("matrix"), restarts)


def headers_of(record, ordered):
    return record["headers"] if ordered else sorted(record["headers"], key=lambda header: header[0])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("writer", CLIENTS)
def test_acknowledged_offsets_are_where_the_records_are(matrix, writer):
    answers = matrix.answers[writer].get()
    for (name, job), answer in zip(matrix.jobs[writer].items(), answers, strict=True):
        assert answer["errors"] == [], name
        if job["acks"] == 0 or CLIENTS[writer].only_text:
            assert set(answer["offsets"]) == {None}, name
            continue
        ends = [0] * PARTITIONS
        for record, offset in zip(job["records"], answer["offsets"], strict=True):
            assert offset == ends[record["partition"]], name
            ends[record["partition"]] += 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("reader", CLIENTS)
@pytest.mark.parametrize("writer", CLIENTS)
def test_every_client_reads_what_every_client_wrote(matrix, writer, reader):
    matrix.answers[writer].get()
    topics = matrix.read[reader].get()
    ordered = CLIENTS[writer].header_order and CLIENTS[reader].header_order
    for name, job in matrix.jobs[writer].items():
        partitions = topics[job["topic"]]
        for partition in range(PARTITIONS):
            expected = [record for record in job["records"] if record["partition"] == partition]
            found = partitions.get(partition, [])
            assert [record["offset"] for record in found] == list(range(len(expected))), (name, partition)
            for sent, got in zip(expected, found, strict=True):
                where = (name, partition, got["offset"], sent["key"])
                assert got["key"] == sent["key"], where
                assert got["value"] == sent["value"], where
                assert headers_of(got, ordered) == headers_of(sent, ordered), where
                if sent["timestamp"] is not None:
                    assert got["timestamp"] == sent["timestamp"], where
                else:
                    assert matrix.started_ms <= got["timestamp"] <= matrix.ended_ms, where
