"""What clients did and what became of it: one JSON object a line.

    {"t": monotonic ns, "process": id, "f": "send" | "resend" | "poll", "type": "invoke" | "ok" | "fail" | "info", "key": "topic-partition",
     "value": ..., "offset": ..., "error": ...}

A poll has only an `ok`, whose value is {key: [[offset, value], ...]}. A resend is a batch that was acknowledged before, sent again with its
sequence. A send whose end is `implied` is one that a client library took for written without an answer: see `workload.py`.
"""

import json
import threading
import time

from confluent_kafka import KafkaError

INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
SEND, RESEND, POLL = "send", "resend", "poll"

# Answers that say for certain that nothing was written. Whatever is not here is unknown, NOT_LEADER_OR_FOLLOWER among it: it can come
# after the append. NOT_ENOUGH_REPLICAS counts only if no attempt before it is open, and librdkafka tells only the last error of its
# retries, so it is unknown as well.
CERTAIN = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_RECORD,
    KafkaError._QUEUE_FULL,
}


def outcome(error):
    """How a send ended, by what the client was told."""
    if error is None:
        return OK
    return FAIL if error.code() in CERTAIN else INFO


class History:
    """Collects events from many threads, and writes them down."""

    def __init__(self):
        self.lock = threading.Lock()
        self.events = []

    def add(self, process, f, type_, **rest):
        event = {"t": time.monotonic_ns(), "process": process, "f": f, "type": type_, **rest}
        with self.lock:
            self.events.append(event)

    def write(self, path):
        with open(path, "w") as file:
            for event in self.events:
                file.write(json.dumps(event) + "\n")
