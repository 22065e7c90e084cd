#!/usr/bin/env python3
"""Do the profiles of the write-ahead log earn their names? P1b, and an overload, on a broker of each.

    cargo build --release -p eddy
    benches/workloads/profiles.py                      low, medium, high, ultra: 10 s each, then 60 s of overload
    benches/workloads/profiles.py high --overload 10

P1b: 128 producers that wait for each of their records of 256 bytes. Capacity: as many pipelined records of 1 KiB as go. Overload: twice
that rate, open loop, whatever the answers do, and all that was acknowledged read back. Meanwhile the queue of the write-ahead log and the
broker's memory are looked at ten times a second. Exit status 1 when a queue was above its limit, or something acknowledged is lost.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "tests" / "clients")]

from compare.contenders import Eddy
from harness import metrics

PROFILES = ["low", "medium", "high", "ultra"]
LOOK_SECONDS = 0.1
COLUMNS = ["profile", "records/s", "p50 ms", "p99 ms", "MB/s", "asked MB/s", "taken MB/s", "refused", "queue", "of", "MiB"]


class Watch(threading.Thread):
    """The deepest queue and the most memory that were seen."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.ended = broker, threading.Event()
        self.depth = self.limit = self.resident = 0

    def run(self):
        while not self.ended.wait(LOOK_SECONDS):
            seen = metrics.read("127.0.0.1", self.broker.admin[0])
            self.depth = max(self.depth, seen["eddy_wal_queue_records"])
            self.limit = seen["eddy_wal_queue_limit_records"]
            self.resident = max(self.resident, self.broker.resident_mib())


def bench(broker, *arguments):
    """The report of one load, and the exit status."""
    command = [broker.binary, "bench", "produce", *arguments, "-o", "json", "-q", "-b", broker.bootstrap]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return json.loads(done.stdout), done.returncode


def measure(profile, options, directory):
    Eddy.profile = profile
    broker = Eddy(directory / profile)
    broker.start()
    try:
        seconds = ["--duration", f"{options.seconds}s", "--warm-up", "2s"]
        waiting, _ = bench(broker, "closed", "--in-flight", "1", "--clients", "128", "--record-size", "256", *seconds)
        capacity, _ = bench(broker, "capacity", *seconds)
        watch = Watch(broker)
        watch.start()
        rate = round(2 * capacity["records_per_second"])
        asked = ["--rate", str(rate), "--linger", "5ms", "--clients", "16", "--duration", f"{options.overload}s", "--warm-up", "0s"]
        overload, code = bench(broker, "overload", *asked, *(["--verify"] if options.verify else []))
        watch.ended.set()
        watch.join()
    finally:
        broker.stop()
        shutil.rmtree(broker.directory)
    lost = overload.get("verified", {}).get("lost", 0)
    row = [
        profile, waiting["records_per_second"], waiting["p50_ms"], waiting["p99_ms"], capacity["megabytes_per_second"],
        rate * overload["record_bytes"] / 1e6, overload["megabytes_per_second"], sum(overload["refused"].values()),
        watch.depth, watch.limit, watch.resident,
    ]
    wrong = [f"{profile}: the queue had {watch.depth:.0f} of {watch.limit:.0f}"] if watch.depth > watch.limit else []
    wrong += [f"{profile}: {lost} acknowledged records are lost"] if lost else []
    wrong += [f"{profile}: the overload ended with {code}"] if code else []
    return row, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help=f"of {', '.join(PROFILES)}; all when none is named")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--overload", type=int, default=60, help="seconds of it")
    parser.add_argument("--no-verify", dest="verify", action="store_false", help="do not read back what the overload wrote: the client has more time for it")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary)
    options = parser.parse_args()
    if unknown := set(options.profiles) - set(PROFILES):
        parser.error(f"no such profile: {', '.join(sorted(unknown))}")
    Eddy.binary = options.eddy.resolve()
    directory = Path(tempfile.mkdtemp(prefix="eddy-profiles-"))
    failures = []
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    try:
        for profile in options.profiles or PROFILES:
            row, wrong = measure(profile, options, directory)
            failures += wrong
            print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:,.0f}" if cell >= 100 else f"{cell:.2f}" for cell in row) + " |", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
