"""P1, P2 and P3 of ../workloads: what a comparable broker's documents claim, through clients that are not ours."""

import json
import subprocess

from cases import Case, Failed
from contenders import REPOSITORY
from figures import LABELS, Target

PYTHON = REPOSITORY / ".cache" / "clients" / "harness" / "bin" / "python"
RUN = REPOSITORY / "benches" / "workloads" / "run.py"
# What Kafka needs one to four seconds for.
STREAM_RECORDS = 400_000
KAFKA_PYTHON_RECORDS = 60_000
# 50 of each thread.
AWAITED_RECORDS = 128 * 50
BESIDE_KAFKA = Target("records_per_second", 1.5)
LABELS |= {"workload_us_per_record": "broker CPU, µs a record, written and read back"}


def needs_python(_):
    if not PYTHON.exists():
        raise Failed(f"{PYTHON} is not there: tests/clients/setup makes it")


def workload(name, records, client="librdkafka"):
    """A case's `run` that is one of the workloads."""
    return lambda turn: measure(turn, name, records, client)


def measure(turn, name, records, client):
    command = [
        str(PYTHON), str(RUN), name, "--json", "--client", client, "--messages", str(records),
        "--bootstrap", turn.broker.bootstrap, "--nodes", str(turn.broker.nodes),
    ]
    before = turn.broker.cpu_seconds()
    # It ends with 1 when a line to pass is missed, too.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    used = turn.broker.cpu_seconds() - before
    if not done.stdout:
        raise Failed(f"{' '.join(command)}: {done.stderr[-300:]}")
    figures = complete(json.loads(done.stdout)["figures"], records)
    return figures | ({"workload_us_per_record": used * 1e6 / records} if turn.broker.pids else {})


def complete(found, records):
    """The figures of a workload that got every record acknowledged and read all of them back."""
    if found["acknowledged"] != records or found["errors"] or found["lost"]:
        raise Failed(f"{found['acknowledged']} of {records} acknowledged, {found['lost']} of them lost, errors: {found['errors']}")
    return {"records_per_second": found["records/s in the cluster"], "p50_ms": found["p50 ms"], "p99_ms": found["p99 ms"]}


def claimed(records_per_second):
    return Target("records_per_second", records_per_second, None)


DOCUMENTS = [
    Case(
        "P1", "P1, one producer, short records, acks=1, by librdkafka, which is the limit", workload("P1", STREAM_RECORDS),
        prepare=needs_python, topic="bench", targets=(claimed(60_000),),
    ),
    Case(
        "P1-kafka-python", "P1 by kafka-python, which is the limit", workload("P1", KAFKA_PYTHON_RECORDS, "kafka-python"),
        prepare=needs_python, topic="bench",
    ),
    Case(
        "3-P3", "three nodes: P3, one producer, short records, acks=all, snappy, by librdkafka", workload("P3", STREAM_RECORDS),
        prepare=needs_python, topic="bench", nodes=3, targets=(BESIDE_KAFKA, claimed(3 * 2_900)),
    ),
    Case(
        "3-P2", "three nodes: P2, 128 threads that await each record, acks=all, by librdkafka", workload("P2", AWAITED_RECORDS),
        prepare=needs_python, topic="bench-test", nodes=3, targets=(BESIDE_KAFKA, claimed(3 * 652)),
    ),
]
