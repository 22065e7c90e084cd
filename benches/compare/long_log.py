"""What a long log costs: the same load and the same crash with one GB in a topic, and with many. ../workloads/log_size.py does it at other sizes."""

import signal

from cases import CLOSED, Case, Turn
from figures import LABELS, Target

GB = 1_000_000_000
RECORD_BYTES = 1024
PARTITIONS = 16
COST_MAX, READY_MS_MAX = 1.5, 1000
SECONDS = 5
LONG_GB_MIN, LONG_GB_MAX = 5, 20
# What the write-ahead log and the closed loops need beside the topic.
SPARE_GB = 5
LEFT_FREE_GB = 10
LABELS |= {
    "long_log_gb": "GB in the long log",
    "long_log_cost": "CPU a record with the long log, by that with 1 GB",
    "ready_short_log_ms": "ready with 1 GB after SIGKILL, ms",
    "ready_long_log_ms": "ready with the long log after SIGKILL, ms",
}
LONG_LOG = Case(
    "long-log", f"a long log, 1 GB and up to {LONG_GB_MAX} (128 closed-loop producers)", None,
    targets=(
        Target("long_log_cost", COST_MAX, None), Target("ready_short_log_ms", READY_MS_MAX, None), Target("ready_long_log_ms", READY_MS_MAX, None),
    ),
)


def size_for(free_bytes):
    """The GB of the long log; None where there is no room for one."""
    size = min(LONG_GB_MAX, free_bytes // GB - SPARE_GB - LEFT_FREE_GB)
    return size if size >= LONG_GB_MIN else None


def grown(turn, before_gb, size_gb):
    """Figures of the load once the topic, which has `before_gb` so far, has `size_gb`, and of a start after SIGKILL then."""
    turn.create(PARTITIONS)
    turn.bench("produce", "--record-size", str(RECORD_BYTES), "--number", str((size_gb - before_gb) * GB // RECORD_BYTES))
    figures = turn.bench("produce", *CLOSED, *turn.course)
    turn.broker.stop(signal.SIGKILL)
    return figures | {"ready_ms": turn.broker.start()}


def long_log(broker, generator, size_gb):
    """Figures of one round; the broker is new."""
    broker.start()
    turn = Turn(broker, generator, SECONDS, "log")
    short, long = grown(turn, 0, 1), grown(turn, 1, size_gb)
    broker.stop()
    return {
        "long_log_gb": size_gb,
        "long_log_cost": long["broker_us_per_record"] / short["broker_us_per_record"],
        "ready_short_log_ms": short["ready_ms"],
        "ready_long_log_ms": long["ready_ms"],
    }
