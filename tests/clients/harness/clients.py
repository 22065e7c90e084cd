"""The clients of the matrix: how to run each, and what each can say."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import paths
from harness.records import from_json, to_json

ALL_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# How members of a group divide partitions among them: eagerly, in steps, or as the broker says (KIP-848).
ALL_ASSIGNMENTS = ("range", "cooperative", "consumer")
SECONDS = 150


class DriverError(Exception):
    """A driver ended with an error; its text has the end of what it wrote to stderr."""

    def __repr__(self):
        return str(self)


@dataclass(frozen=True)
class Client:
    name: str
    command: tuple
    needs: tuple
    codecs: tuple = ALL_CODECS
    idempotence: bool = True
    acks0: bool = True
    # A record with neither key nor value.
    empty_records: bool = True
    null_header_values: bool = True
    # Headers of different names keep their order among each other.
    header_order: bool = True
    # Of ALL_ASSIGNMENTS; none when the driver has no groups.
    assignments: tuple = ("range",)
    # Those of them with which members can have an id of their own (KIP-345) and come back.
    static_members: tuple = ALL_ASSIGNMENTS
    # Those of them with which members can subscribe by a regular expression; sarama and kcat cannot, and KafkaJS sees no topics that come later.
    patterns: tuple = ALL_ASSIGNMENTS
    # A member can move to another offset while it reads.
    seeks: bool = True
    # Only fixed headers, no timestamps, no empty value beside a null one.
    only_text: bool = False
    environment: dict = field(default_factory=dict, hash=False)

    def missing(self):
        return next((f"{path} is not installed" for path in self.needs if not Path(path).exists()), None)

    def run(self, verb, bootstrap, lines, directory):
        """Runs the driver on a file of these lines; gives the objects it printed."""
        if reason := self.missing():
            pytest.skip(reason)
        path = Path(directory) / f"{self.name}-{verb}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            [*self.command, verb, bootstrap, str(path)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **self.environment}, check=False,
        )
        if done.returncode != 0:
            raise DriverError(f"{self.name} {verb} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def produce(self, bootstrap, jobs, directory):
        """Runs jobs whose records hold bytes; gives an answer for each."""
        lines = [json.dumps({**job, "records": [to_json(record) for record in job["records"]]}) for job in jobs]
        return self.run("produce", bootstrap, lines, directory)

    def consume(self, bootstrap, topics, directory):
        """Reads every partition of the topics; gives {topic: {partition: [record]}} in the order of arrival."""
        read = {topic: {} for topic in topics}
        for record in self.run("consume", bootstrap, topics, directory):
            read[record["topic"]].setdefault(record["partition"], []).append(from_json(record))
        return read


def python_client(name, environment, script, **options):
    interpreter = paths.INSTALLED / environment / "bin" / "python"
    driver = paths.DRIVERS / "python" / script
    return Client(name, (str(interpreter), str(driver)), needs=(interpreter,), **options)


def kafka_python(name, environment, **options):
    return python_client(name, environment, "kafka_python_driver.py", empty_records=False, null_header_values=False, **options)


def go_client(name, program, **options):
    binary = paths.INSTALLED / "go" / program
    return Client(name, (str(binary),), needs=(binary,), **options)


NODE_MODULES = paths.INSTALLED / "node" / "node_modules"

CLIENTS = {
    client.name: client
    for client in (
        kafka_python("kafka-python-2.0", "kafka-python-2.0", idempotence=False, static_members=()),
        # 2.3 does not put an acks=0 request on the wire before the next request that is answered.
        kafka_python("kafka-python-2.3", "harness", acks0=False),
        kafka_python("kafka-python-3", "kafka-python-3"),
        python_client("aiokafka", "harness", "aiokafka_driver.py", empty_records=False),
        python_client("confluent-kafka", "harness", "confluent_driver.py", assignments=ALL_ASSIGNMENTS),
        Client("java", tuple(paths.java("Driver")), needs=(paths.JAVA_CLASSES, paths.JAVA_LIBRARIES), assignments=ALL_ASSIGNMENTS),
        # 1.22 leaves out the id where a static member of a KIP-848 group says that it goes, and is refused; so is the one that comes back.
        go_client("franz-go", "franz", assignments=ALL_ASSIGNMENTS, static_members=("range", "cooperative")),
        go_client("sarama", "sarama", assignments=("range", "cooperative"), seeks=False, patterns=()),
        Client(
            "kafkajs",
            ("node", str(paths.DRIVERS / "node" / "kafkajs_driver.js")),
            needs=(NODE_MODULES,),
            null_header_values=False,
            header_order=False,
            static_members=(),
            patterns=(),
            environment={"NODE_PATH": str(NODE_MODULES), "KAFKAJS_NO_PARTITIONER_WARNING": "1"},
        ),
        python_client("kcat", "harness", "kcat_driver.py", only_text=True, assignments=()),
    )
}
