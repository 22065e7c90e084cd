"""What a broker takes without any load, how fast it starts, and how its costs grow."""

import resource
import signal
import socket
import time

from cases import CLOSED, SETTLE_SECONDS, Case, Turn
from contenders import API_VERSIONS
from figures import LABELS, Target

MANY_PARTITIONS = 1000
IDLE_SECONDS = 15
GROWN_PARTITIONS = 10_000
GROWN_CONNECTIONS = 5_000
CHECKPOINT_SECONDS = 15
# Long enough for a checkpoint to be in it, which is a part of what a record costs.
GROWTH_SECONDS = 10
# What gives every partition its files and their indexes.
FILL = ("--rate", "20000", "--record-size", "1024", "--number", str(GROWN_PARTITIONS * 20))
LABELS |= {
    "ready_ms": "ready on an empty directory, ms",
    "ready_many_ms": f"ready with {MANY_PARTITIONS:,} partitions, ms",
    "ready_killed_ms": f"ready with {MANY_PARTITIONS:,} partitions after SIGKILL, ms",
    "idle_mib": "idle, resident MiB",
    "idle_percent": "idle, % of a core",
    "new_partitions_cost": f"CPU a record while {GROWN_PARTITIONS:,} partitions get their first files, by that with 1",
    "partitions_cost": f"CPU a record with {GROWN_PARTITIONS:,} partitions, by that with 1",
    "connections_cost": f"CPU a record with {GROWN_CONNECTIONS:,} more connections, by that without",
    "connection_kib": "KiB of memory a connection",
    "ready_grown_ms": f"ready with {GROWN_PARTITIONS:,} partitions, ms",
}
FOOTPRINT = Case(
    "footprint", "start, and nothing to do", None,
    targets=(Target("ready_ms", 1 / 20), Target("idle_mib", 1 / 10), Target("idle_percent", 1 / 10)),
)
GROWTH = Case(
    "growth", "growth (128 closed-loop producers)", None,
    targets=(Target("partitions_cost", 1.5, None), Target("connections_cost", 1.5, None), Target("ready_grown_ms", 1000, None)),
)


def footprint(broker, generator):
    """Figures of one round; the broker is new."""
    figures = {"ready_ms": broker.start()}
    time.sleep(SETTLE_SECONDS)
    before = broker.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    figures["idle_percent"] = (broker.cpu_seconds() - before) / IDLE_SECONDS * 100
    figures["idle_mib"] = broker.resident_mib()
    turn = Turn(broker, generator, 2, "many")
    turn.create(MANY_PARTITIONS)
    load = ["--in-flight", "1", "--clients", "64", "--record-size", "256", *turn.course]
    turn.bench("produce", *load)
    broker.stop()
    figures["ready_many_ms"] = broker.start()
    turn.bench("produce", *load)
    broker.stop(signal.SIGKILL)
    figures["ready_killed_ms"] = broker.start()
    broker.stop()
    return figures


def connections(port, count):
    """Connections that have asked once and are kept."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 512)), hard))
    made = []
    for _ in range(count):
        made.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        made[-1].sendall(API_VERSIONS)
    for connection in made:
        connection.recv(4096)
    return made


def growth(broker, generator):
    """Figures of one round; the broker is new."""
    broker.start()

    def cost(topic, partitions):
        turn = Turn(broker, generator, GROWTH_SECONDS, topic)
        turn.create(partitions)
        return turn.bench("produce", *CLOSED, *turn.course)["broker_us_per_record"]

    one = cost("one", 1)
    before = broker.resident_mib()
    kept = connections(broker.ports[0], GROWN_CONNECTIONS)
    figures = {"connection_kib": (broker.resident_mib() - before) * 1024 / GROWN_CONNECTIONS, "connections_cost": cost("one", 1) / one}
    for connection in kept:
        connection.close()
    figures["new_partitions_cost"] = cost("grown", GROWN_PARTITIONS) / one
    Turn(broker, generator, GROWTH_SECONDS, "grown").bench("produce", *FILL)
    time.sleep(CHECKPOINT_SECONDS)
    figures["partitions_cost"] = cost("grown", GROWN_PARTITIONS) / one
    broker.stop()
    figures["ready_grown_ms"] = broker.start()
    broker.stop()
    return figures
