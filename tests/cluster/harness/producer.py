"""An idempotent producer of our own that knows for certain what it was told: one batch in flight, resent with its sequence until there is a
final answer. A client library guesses at times (see `workload.py`), and hides the answers before the last."""

import time

from harness import metadata
from harness.history import FAIL, INFO, INVOKE, OK, RESEND, SEND
from harness.raw_batches import batch, record
from harness.raw_kafka import Connection

NONE, OUT_OF_ORDER_SEQUENCE, DUPLICATE_SEQUENCE = 0, 45, 46
# After these, nothing was written by the attempt. NOT_LEADER_OR_FOLLOWER is not among them: it can come after the append.
REFUSED = {2, 3, 10, 19, 29, 31, 87, 89}
ANSWER_SECONDS = 3
PRODUCE_MS = 2_000
GIVES_UP_SECONDS = 30
RESENDS = 0.1


class SequentialProducer:
    def __init__(self, cluster, history, process, topic, key_of, rng):
        self.cluster, self.history, self.process, self.topic, self.key_of, self.rng = cluster, history, process, topic, key_of, rng
        self.identity, self.sequences = None, {}
        self.connections, self.leaders = {}, {}

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def send(self, partition, value):
        """Sends until it is known what became of the value, or for half a minute."""
        key = self.key_of(partition)
        self.history.add(self.process, SEND, INVOKE, key=key, value=value)
        deadline = time.monotonic() + GIVES_UP_SECONDS
        told, may_be_written, offset = [], False, None
        while time.monotonic() < deadline:
            error, offset, sent = self.attempt(partition, value)
            told.append(error)
            if error in (NONE, DUPLICATE_SEQUENCE):
                break
            may_be_written |= sent and error not in REFUSED
            time.sleep(self.rng.uniform(0.02, 0.2))
        if told and told[-1] in (NONE, DUPLICATE_SEQUENCE):
            self.history.add(self.process, SEND, OK, key=key, value=value, offset=offset, error=None)
            if told[-1] == NONE and self.rng.random() < RESENDS:
                self.resend(partition, value)
            self.sequences[partition] = self.sequences.get(partition, 0) + 1
        elif may_be_written:
            # Nobody may ever use this sequence for another value.
            self.identity, self.sequences = None, {}
            self.history.add(self.process, SEND, INFO, key=key, value=value, offset=offset, error=told[-20:])
        else:
            self.history.add(self.process, SEND, FAIL, key=key, value=value, offset=offset, error=told[-20:])

    def attempt(self, partition, value, node=None):
        """(error code or words, offset, whether the batch may have reached a broker)."""
        try:
            node = node or self.leader(partition)
            if node is None:
                return "no leader", None, False
            connection = self.connection(node)
        except OSError as error:
            self.leaders.pop(partition, None)
            return f"{error!r}", None, False
        try:
            if self.identity is None:
                error, producer, epoch = connection.ask_for_producer_id()
                if error:
                    return f"no producer id: {error}", None, False
                self.identity = producer, epoch
        except OSError as error:
            self.forget(partition, node)
            return f"no producer id: {error!r}", None, False
        try:
            records = batch([record(0, value=value.encode())], producer=(*self.identity, self.sequences.get(partition, 0)))
            error, offset = connection.produce(self.topic, partition, records, acks=-1, timeout_ms=PRODUCE_MS)
        except OSError as error:
            self.forget(partition, node)
            return f"{error!r}", None, True
        if error != NONE:
            self.leaders.pop(partition, None)
        return error, offset, True

    def resend(self, partition, value):
        """I1: the same sequence gives the same offset, whoever leads by now."""
        error, offset, _ = self.attempt(partition, value)
        self.history.add(self.process, RESEND, OK if error == NONE else INFO, key=self.key_of(partition), value=value, offset=offset, error=error)

    def leader(self, partition):
        """The node that leads, as any broker says."""
        if partition not in self.leaders:
            nodes = list(self.cluster.nodes.values())
            self.rng.shuffle(nodes)
            for node in nodes:
                if node.running and not node.paused:
                    try:
                        _, partitions, _ = metadata.ask(node, timeout=1)
                        self.leaders[partition] = self.cluster.nodes[partitions[self.topic, partition].leader]
                        break
                    except (OSError, KeyError):
                        continue
        return self.leaders.get(partition)

    def connection(self, node):
        if node.number not in self.connections:
            self.connections[node.number] = Connection(node, ANSWER_SECONDS)
        return self.connections[node.number]

    def forget(self, partition, node):
        self.leaders.pop(partition, None)
        if connection := self.connections.pop(node.number, None):
            connection.close()
