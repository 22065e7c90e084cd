#!/usr/bin/env python3
"""The workloads of a cluster on three nodes of this broker and on three of Apache Kafka, in turn: medians and their ratio.

    cargo build --release --bin eddy
    .cache/clients/harness/bin/python benches/workloads/beside.py                    P2, P2b, P3, P4 and C6, three rounds
    .cache/clients/harness/bin/python benches/workloads/beside.py P2 --rounds 5 --client kafka-python

Both clusters keep running; only the one whose turn it is has load. A round that does not count comes first: a JVM that is not warm
makes any ratio look good. Kafka comes as in ../compare. Exit status 1 when a rate is less than 1.5 times Kafka's.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare.contenders import Eddy, Kafka
from run import MESSAGES, WORKLOADS

RATE = "records/s in the cluster"
RATIO_MIN = 1.5
NODES = 3


def measure(name, broker, options):
    given = argparse.Namespace(
        bootstrap=broker.bootstrap,
        nodes=NODES, client=options.client, messages=options.messages or MESSAGES, messages_given=options.messages,
        threads=None, during=None, progress=False, trace=False, json=True,
    )
    os.sync()
    before = broker.cpu_seconds()
    report = WORKLOADS[name](given)
    failed = [check["claim"] for check in report.checks if not check["passed"]]
    figures = {key: value for key, value in report.figures.items() if isinstance(value, (int, float))}
    return {**figures, "broker_cpu_s_a_node": (broker.cpu_seconds() - before) / NODES}, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="P2 to C6 (P2 P2b P3 P4 C6)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=["kafka-python", "librdkafka"], default="librdkafka", help="client of P2 to P4")
    parser.add_argument("--messages", type=int, default=None, help="records, instead of the workload's own number")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary)
    options = parser.parse_args()
    workloads = options.workloads or ["P2", "P2b", "P3", "P4", "C6"]
    if unknown := set(workloads) - set(WORKLOADS):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    Eddy.binary = options.eddy.resolve()
    Kafka.install()
    directory = Path(tempfile.mkdtemp(prefix="beside-"))
    brokers = [kind(directory / kind.name, NODES) for kind in (Eddy, Kafka)]
    passed = True
    try:
        for broker in brokers:
            broker.start()
        for name in workloads:
            found = {broker.name: [] for broker in brokers}
            for round_ in range(options.rounds + 1):
                for broker in brokers:
                    figures, failed = measure(name, broker, options)
                    note = "warm-up" if round_ == 0 else f"round {round_}"
                    print(f"{name} {note} {broker.name}: {figures} {'missed: ' + '; '.join(failed) if failed else ''}", flush=True)
                    if round_:
                        found[broker.name].append(figures)
            median = {
                broker: {key: statistics.median(row[key] for row in rows if key in row) for key in rows[0]} for broker, rows in found.items()
            }
            for key in median["eddy"]:
                ours, theirs = median["eddy"][key], median["kafka"].get(key)
                ratio = f"{ours / theirs:8.2f}" if theirs else ""
                print(f"{name:<4} {key:<32} eddy {ours:>12.2f}   kafka {theirs if theirs is not None else float('nan'):>12.2f}   {ratio}")
            if RATE in median["eddy"]:
                passed &= median["eddy"][RATE] >= RATIO_MIN * median["kafka"][RATE]
    finally:
        for broker in brokers:
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
