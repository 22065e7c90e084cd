#!/usr/bin/env python3
"""What producers notice of a compaction: p99 of a produce request without it and while it runs, on a broker of our own.

    cargo build --release -p eddy -p eddy-benches
    benches/workloads/compaction.py                     both loads, three rounds: medians
    benches/workloads/compaction.py --rounds 1 --loads open --eddy PATH

Each load of each round has a gigabyte of its own, nine of ten records with a newer one of the same key, in a topic whose dirty ratio
keeps it from being compacted. When all are on disk and synced, the load runs alone against another topic; then again, with the ratio
lowered, until the compaction is over. Memory is the broker's, from before the load to after the compaction: VmHWM of the kernel. Exit
status 1 when p99 is more than 1.5 times what it is without, in the median, or memory above 128 MiB.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "clients"))

from harness import metrics
from harness.ports import free_port

LOADS = {"closed": ["--in-flight", "1"], "open": ["--rate", "2000"]}
PATIENCE = 600
RATIO_MAX = 1.5
MEMORY_MAX_MIB = 128
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("EDDY_")}


class Broker:
    def __init__(self, options, directory):
        self.options = options
        self.port, self.admin = options.port or free_port(), options.port + 1 if options.port else free_port()
        settings = [
            f"listeners.kafka=127.0.0.1:{self.port}",
            f"listeners.admin=127.0.0.1:{self.admin}",
            f"log.checkpoint.interval={options.checkpoint * 1000}",
            "log.cleaner.backoff.ms=200",
            *options.set,
        ]
        sets = [part for setting in settings for part in ("--set", setting)]
        self.log = open(directory / "broker.log", "ab")
        command = [options.eddy, "serve", "--data-dir", str(directory / "data"), *sets]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=ENVIRONMENT)
        wait_until(self.is_ready, "the broker is not ready")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def is_ready(self):
        if self.process.poll() is not None:
            sys.exit(f"the broker ended: see {self.log.name}")
        try:
            self.http("/ready")
            return True
        except OSError:
            return False

    def metric(self, name):
        return metrics.read("127.0.0.1", self.admin).get(name, 0)

    def cli(self, *arguments):
        command = [self.options.eddy, *arguments, "-b", f"127.0.0.1:{self.port}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)

    def load(self, *arguments):
        command = [self.options.eddy, "bench", "produce", *arguments, "-b", f"127.0.0.1:{self.port}", "-o", "json"]
        return subprocess.Popen([*command, "--pid", str(self.process.pid)], stdout=subprocess.PIPE, env=ENVIRONMENT)

    def memory_mib(self, of):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(of))

    def forget_memory_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")


def wait_until(holds, otherwise, every=0.1):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"{otherwise} after {PATIENCE} s")
        time.sleep(every)


def report_of(load):
    output, _ = load.communicate(timeout=PATIENCE)
    if load.returncode:
        sys.exit(f"the load ended with {load.returncode}")
    return json.loads(output)


def fill(broker, topic):
    options = broker.options
    settings = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "1.0",
        "segment.bytes": str(options.segment_mebibytes << 20),
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    broker.cli("topic", "create", topic, "-p", "1", *sets)
    # The last segment is not compacted.
    mebibytes = options.mebibytes + options.segment_mebibytes // 2
    command = [options.eddy_fill, "--topic", topic, "--mebibytes", str(mebibytes), "--bootstrap", f"127.0.0.1:{broker.port}"]
    subprocess.run(command, check=True, timeout=PATIENCE, env=ENVIRONMENT)


def one(broker, name, number):
    """Figures of one load without and with compaction."""
    options = broker.options
    topic = f"compacted-{name}-{number}"
    course = ["produced", *LOADS[name], "--clients", "16", "--record-size", "256", "--partitions", "16", "--warm-up", "2s"]
    broker.forget_memory_peak()
    before = {key: broker.metric(f"eddy_compaction_{key}") for key in ["runs_total", "freed_bytes_total"]}
    alone = report_of(broker.load(*course, "--duration", f"{options.seconds}s"))
    load = broker.load(*course, "--duration", f"{PATIENCE}s")
    time.sleep(2.2)
    broker.cli("topic", "alter", topic, "--set", "min.cleanable.dirty.ratio=0.5")
    began = time.monotonic()
    resident = []

    def is_over():
        resident.append(broker.memory_mib("VmRSS"))
        return broker.metric("eddy_compaction_runs_total") > before["runs_total"] and not broker.metric("eddy_compaction_running")

    wait_until(is_over, "the compaction is not over", every=0.25)
    took = time.monotonic() - began
    # Old files may still be given back to the disk.
    time.sleep(options.after)
    load.send_signal(signal.SIGINT)
    beside = report_of(load)
    figures = {f"{key} {when}": report[key] for when, report in [("alone", alone), ("beside", beside)] for key in report if key.endswith("_ms") or key == "records_per_second"}
    figures["p99 ratio"] = beside["p99_ms"] / alone["p99_ms"]
    figures["compaction s"] = took
    figures["freed MB"] = (broker.metric("eddy_compaction_freed_bytes_total") - before["freed_bytes_total"]) / 1e6
    figures["RSS max MiB"] = max(resident)
    figures["VmHWM MiB"] = broker.memory_mib("VmHWM")
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eddy", default=str(REPOSITORY / "target" / "release" / "eddy"))
    parser.add_argument("--eddy-fill", default=str(REPOSITORY / "target" / "release" / "eddy-fill"))
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60, help="of the load alone (60): as rare a stall of the disk shall meet it as meets the load beside")
    parser.add_argument("--after", type=int, default=2, help="seconds that count after the compaction (2)")
    parser.add_argument("--mebibytes", type=int, default=1024, help="to be compacted (1024)")
    parser.add_argument("--segment-mebibytes", type=int, default=256, help="size of a segment (256)")
    parser.add_argument("--checkpoint", type=int, default=5, help="seconds between checkpoints (5): both runs shall have some")
    parser.add_argument("--pause", action="store_true", help="wait for a line from standard input before measuring, such as until the machine is idle")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the broker")
    parser.add_argument("--port", type=int, default=0, help="of the broker, and the next one for its admin listener")
    parser.add_argument("--directory", help="where the data goes, for a time; the system's for temporary files otherwise")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="compaction-", dir=options.directory))
    found = {name: [] for name in options.loads}
    broker = Broker(options, directory)
    try:
        for number in range(options.rounds):
            for name in options.loads:
                fill(broker, f"compacted-{name}-{number}")
        # Only what a checkpoint has seen synced is compacted.
        time.sleep(options.checkpoint + 1)
        wait_until(lambda: broker.metric("eddy_compaction_dirty_ratio_max") > 0.99, "no checkpoint")
        os.sync()
        if options.pause:
            input("filled; return measures ")
        for number in range(options.rounds):
            for name in options.loads:
                figures = one(broker, name, number)
                found[name].append(figures)
                print(f"round {number + 1}, {name}:", ", ".join(f"{key} {value:.2f}" for key, value in figures.items()), flush=True)
    finally:
        broker.stop()
        shutil.rmtree(directory)
    passed = True
    for name, rounds in found.items():
        median = {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
        print(f"{name}, median of {len(rounds)}:")
        for key, value in median.items():
            print(f"  {key:<26} {value:.2f}")
        passed &= median["p99 ratio"] <= RATIO_MAX and median["VmHWM MiB"] <= MEMORY_MAX_MIB
    sys.exit(not passed)


if __name__ == "__main__":
    main()
