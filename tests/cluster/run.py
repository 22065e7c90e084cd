#!/usr/bin/env python3
"""Breaks a cluster of three brokers while clients work, and judges what they have seen.

    tests/cluster/run.py C1 C3 --seconds 60
    tests/cluster/run.py all --netns --seconds 300 --seed 7      as root: C4, C5, C8 cut links

EDDY_BIN is the binary (default: target/release/eddy of this tree). Each scenario has a cluster of its own. When something is wrong its
directory is kept: the history, the logs, the data. Exit status 1 then.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import paths
from harness.checker import Violation, check_history, check_leaders, check_replicas
from harness.history import OK, RESEND, SEND, History
from harness.loads import create
from harness.nodes import Cluster, Namespaces
from harness.workload import TOPIC, Workload
from scenarios import NEEDS_LINKS, SCENARIOS, Nemesis


def longest_gap(events):
    """The longest time without an acknowledgement, in seconds."""
    times = [event["t"] for event in events if event["f"] == SEND and event["type"] == OK]
    return max((later - earlier for earlier, later in zip(times, times[1:])), default=0) / 1e9


def run(name, seconds, seed, netns=False, directory=None, settings=None, rounds=None):
    """Runs one scenario; gives its report: {"violations": [...], ...}. The directory is removed if there are none."""
    directory = Path(directory or tempfile.mkdtemp(prefix=f"eddy-{name}-"))
    cluster = Cluster(paths.EDDY, directory, Namespaces() if netns else None, settings)
    history, violations = History(), []
    report = {"scenario": name, "seed": seed, "seconds": seconds}
    try:
        cluster.start()
        create(cluster, TOPIC, 3)
        cluster.wait_until_whole()
        workload = Workload(cluster, history, seed).start()
        nemesis = Nemesis(cluster, random.Random(seed), seconds, rounds)
        try:
            violations += SCENARIOS[name](nemesis) or []
        except (AssertionError, TimeoutError) as error:
            violations.append(Violation("scenario", str(error)))
        cluster.heal()
        healed = time.monotonic()
        try:
            cluster.wait_until_whole()
        except TimeoutError as error:
            violations.append(Violation("B1", str(error)))
        report["seconds until whole"] = round(time.monotonic() - healed, 1)
        # Everybody gets to write after the faults.
        time.sleep(2)
        try:
            workload.stop()
        except AssertionError as error:
            violations.append(Violation("clients", str(error)))
        final = workload.final_read()
        violations += probes(history.events, healed)
        violations += check_history(history.events, final)
        violations += check_leaders(workload.leaders)
        exits = {number: node.stop() for number, node in cluster.nodes.items()}
        violations += [Violation("exit", f"node {number}: {code}") for number, code in exits.items() if code != 0]
        violations += check_replicas(history_logs(cluster))
        sends = [event for event in history.events if event["f"] == SEND and event["type"] != "invoke"]
        report |= {"faults": nemesis.faults, **nemesis.notes}
        report["sends"] = {kind: sum(event["type"] == kind for event in sends) for kind in ("ok", "info", "fail")}
        implied = [event for event in sends if event.get("implied")]
        written = {value for records in final.values() for _, value in records}
        report["implied"] = {"sends": len(implied), "not there": sum(event["value"] not in written for event in implied)}
        report["resends"] = sum(event["f"] == RESEND and event["type"] == OK for event in history.events)
        report["read"] = sum(len(records) for records in final.values())
        report["longest gap of acks, s"] = round(longest_gap(history.events), 2)
    finally:
        cluster.close()
        history.write(directory / "history.jsonl")
    report["violations"] = [str(violation) for violation in violations]
    if violations:
        report["kept"] = str(directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return report


def probes(events, healed):
    """B1: every partition takes writes after the faults."""
    begun = {event["value"] for event in events if event["type"] == "invoke" and event["t"] > healed * 1e9}
    written = {event["key"] for event in events if event["f"] == SEND and event["type"] == OK and event["value"] in begun}
    return [Violation("B1", f"{TOPIC}-{index} takes no write after the faults") for index in range(3) if f"{TOPIC}-{index}" not in written]


def history_logs(cluster):
    """The replicas of the topic's partitions: those directories whose batches the history's values are in."""
    ids = {directory.name.rsplit("-", 1)[0] for node in cluster.nodes.values() for directory in (node.directory / "partitions").iterdir()}
    return {key: replicas for topic in ids for key, replicas in cluster.replica_logs(topic).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, "all"], metavar="SCENARIO")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults come (60)")
    parser.add_argument("--rounds", type=int, help="so many faults or rounds instead")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what chooses the faults")
    parser.add_argument("--netns", action="store_true", help="a network namespace a broker: as root, with iproute2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the brokers")
    options = parser.parse_args()
    # The brokers go with the runner, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    settings = dict(pair.split("=", 1) for pair in options.set)
    failed = False
    for name in SCENARIOS if "all" in options.scenarios else options.scenarios:
        if name in NEEDS_LINKS and not options.netns:
            print(f"SKIPPED: {name}: needs --netns", flush=True)
            continue
        print(f"{name}: seed {options.seed}, {options.seconds:.0f} s", flush=True)
        report = run(name, options.seconds, options.seed, options.netns, settings=settings, rounds=options.rounds)
        print(json.dumps(report, indent=2), flush=True)
        failed |= bool(report["violations"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
