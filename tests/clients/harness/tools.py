"""Kafka's own command-line tools, run from their jars: one after the other in one process, as most of a tool's time is its start."""

import atexit
import json
import queue
import subprocess
import threading

import pytest

from harness import paths
from harness.broker import end_with_parent

CLASSES = {
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "replica-verification": "org.apache.kafka.tools.ReplicaVerificationTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}
SECONDS = 60


class ToolError(Exception):
    """A tool ended with an error; the text is what it printed."""


class Runner:
    """The process that runs the tools: see drivers/java/src/ToolRunner.java."""

    def __init__(self):
        self.process = subprocess.Popen(
            paths.java("ToolRunner"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=end_with_parent
        )
        self.answers = queue.Queue()
        threading.Thread(target=lambda: [self.answers.put(line) for line in self.process.stdout], daemon=True).start()
        atexit.register(self.process.kill)

    def run(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.answers.get(timeout=SECONDS))


runner = None


def run_for_both(tool, *arguments, stdin=""):
    """Runs a tool to its end; gives what it printed and what it complained about."""
    global runner
    if not paths.JAVA_LIBRARIES.exists():
        pytest.skip(f"{paths.JAVA_LIBRARIES} is not installed")
    if runner is None:
        runner = Runner()
    try:
        done = runner.run({"class": CLASSES[tool], "arguments": [str(argument) for argument in arguments], "stdin": stdin})
    except (queue.Empty, BrokenPipeError):
        runner.process.kill()
        runner = None
        raise TimeoutError(f"{tool} did not end in {SECONDS} s: {arguments}") from None
    if done["code"] != 0:
        raise ToolError(f"{tool} ended with {done['code']}:\n{done['out']}\n{done['err']}")
    return done["out"], done["err"]


def run(tool, *arguments, stdin=""):
    """Runs a tool to its end; gives what it printed."""
    return run_for_both(tool, *arguments, stdin=stdin)[0]


def against(broker):
    """`run` for a broker."""
    return lambda tool, *arguments, **options: run(tool, "--bootstrap-server", broker.bootstrap, *arguments, **options)
