"""Figures of several rounds, and what may be said of two of them side by side."""

import statistics
from dataclasses import dataclass

# Figures of which more is better; of all others less is.
MORE_IS_BETTER = ("records_per_second", "megabytes_per_second")
LABELS = {
    "records_per_second": "records/s",
    "megabytes_per_second": "MB/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "broker_us_per_record": "broker CPU, µs a record",
    "broker_cpu_s_per_gb": "broker CPU, s a GB",
    "client_cores": "cores of the load generator",
    "resident_mib": "resident MiB of a node after it",
    "written_mib": "MiB written to disk",
}


@dataclass(frozen=True)
class Target:
    """What the ratio of a figure to another contender's shall be, or the figure itself with `against=None`: at least so much where more is
    better, at most elsewhere."""

    figure: str
    bound: float
    against: str | None = "kafka"

    @property
    def is_floor(self):
        return self.figure in MORE_IS_BETTER

    def is_met(self, value):
        return value >= self.bound if self.is_floor else value <= self.bound

    def __str__(self):
        return f"{'≥' if self.is_floor else '≤'} {number(self.bound)}{'' if self.against is None else ' ×'}"


@dataclass(frozen=True)
class Ratio:
    """Of two contenders' medians, with the least and the greatest ratio that any two of their rounds have."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(ours, theirs):
        """None when there is nothing to divide, or to divide by."""
        if not ours or not theirs or min(theirs) <= 0:
            return None
        return Ratio(statistics.median(ours) / statistics.median(theirs), min(ours) / max(theirs), max(ours) / min(theirs))

    def winner(self, figure, us, them):
        """None when the rounds of both overlap: the difference may be chance."""
        if self.low <= 1 <= self.high:
            return None
        return us if (self.low > 1) == (figure in MORE_IS_BETTER) else them

    def __str__(self):
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
