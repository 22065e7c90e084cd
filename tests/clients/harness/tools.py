"""Kafka's own command-line tools, run from their jars."""

import subprocess

import pytest

from harness import paths

CLASSES = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "configs": "kafka.admin.ConfigCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
}
SECONDS = 60


class ToolError(Exception):
    """A tool ended with an error; the text is what it printed."""


def run(tool, *arguments, stdin=""):
    """Runs a tool to its end; gives what it printed."""
    if not paths.JAVA_LIBRARIES.exists():
        pytest.skip(f"{paths.JAVA_LIBRARIES} is not installed")
    command = paths.java(CLASSES[tool], *(str(argument) for argument in arguments))
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise ToolError(f"{tool} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
