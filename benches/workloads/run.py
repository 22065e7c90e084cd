#!/usr/bin/env python3
"""Runs the workloads against any cluster that speaks Kafka's protocol, checks their pass lines, and prints them.

    benches/workloads/run.py P2 --bootstrap localhost:9092,localhost:9093,localhost:9094
    benches/workloads/run.py P2 P3 C1 --json        one line of JSON each
    benches/workloads/run.py all

Exit status 1 when a pass line is missed. README.md says what each workload is.
"""

import argparse
import sys

import consume
import produce

WORKLOADS = {
    "P1": produce.p1,
    "P1c": produce.p1c,
    "P2": produce.p2,
    "P2b": produce.p2b,
    "P3": produce.p3,
    "P4": produce.p4,
    "C1": consume.c1,
    "C2": consume.c2,
    "C3": consume.c3,
    "C4": consume.c4,
    "C5": consume.c5,
    "C6": consume.c6,
}

# Records of a workload that has no number of its own.
MESSAGES = 30_000


def main(workload=None, nodes=3, progress=False, description=__doc__):
    """The command line; of one workload when it is given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if workload is None:
        parser.add_argument("workloads", nargs="+", choices=[*WORKLOADS, "all"], metavar="WORKLOAD")
    parser.add_argument("--bootstrap", default=",".join(f"localhost:{9092 + node}" for node in range(nodes)))
    parser.add_argument("--nodes", type=int, default=nodes, help=f"brokers, for the rates a node ({nodes})")
    parser.add_argument("--client", choices=["kafka-python", "librdkafka"], default="kafka-python", help="client of P1 to P4")
    parser.add_argument("--messages", type=int, dest="messages_given", help="records, instead of the workload's own number")
    parser.add_argument("--threads", type=int, help="threads of P2 and P2b, instead of 128 and 64")
    parser.add_argument("--during", help="C5: a shell command to run when half is sent, such as one that moves leaders")
    parser.add_argument("--progress", action="store_true", default=progress, help="print progress of each 10,000 records")
    parser.add_argument("--trace", action="store_true", help="C4: print each fetch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    passed = True
    workloads = [workload] if workload else options.workloads
    for name in WORKLOADS if "all" in workloads else workloads:
        given = argparse.Namespace(**vars(options))
        given.messages = options.messages_given or MESSAGES
        report = WORKLOADS[name](given)
        report.print(options.json)
        passed &= report.passed
    sys.exit(not passed)


if __name__ == "__main__":
    main()
