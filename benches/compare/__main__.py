"""This broker beside Apache Kafka, or any other broker, under the same loads on the same machine in the same minutes.

    cargo build --release -p eddy
    python3 benches/compare                              every case, three rounds: about 20 minutes
    python3 benches/compare closed-loop 3-closed-loop    some cases
    python3 benches/compare --rounds 5 --seconds 20 --json out.json --svg out.svg
    python3 benches/compare closed-loop --contender eddy --at other=10.0.0.7:9092 --pid other=4711

The contenders keep running and take turns, in another order each round, so that whatever else the machine does meets all of them; only the
one whose turn it is has load. The first round of each case does not count: a JVM that is not warm makes any ratio look good. Kafka
acknowledges from the page cache, `kafka-flush` after a sync of every message, this broker always after a sync.

A figure has a winner only when the rounds of both do not overlap. Exit status 1 when a case failed; a target that is missed is only said.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from cases import CASES, Failed, Turn
from contenders import KINDS, Eddy, FlushingKafka, Gone, Kafka, Remote
from documents import DOCUMENTS
from figures import LABELS, number
from footprint import FOOTPRINT, GROWTH, footprint, growth
from long_log import LEFT_FREE_GB, LONG_GB_MIN, LONG_LOG, SPARE_GB, long_log, size_for
from report import document, picture, rows, table

# Rounds with brokers of their own take half a minute to a minute and a half each.
FOOTPRINT_ROUNDS_MAX = 2
ALL = {case.name: case for case in (*CASES, *DOCUMENTS, FOOTPRINT, GROWTH, LONG_LOG)}


class Comparison:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.generator = str(options.load.resolve())
        self.rows, self.failures, self.started = [], [], []

    def new_broker(self, kind, name, nodes=1):
        broker = KINDS[kind](self.directory / f"{name}-{kind}", nodes)
        self.started.append(broker)
        return broker

    def with_nodes(self, cases, nodes):
        """The cases that so many nodes are needed for, on contenders that run all the time."""
        kinds = [kind for kind in self.options.contender if kind != FlushingKafka.name or any(case.flush_too for case in cases)]
        brokers = [self.new_broker(kind, f"{nodes}-nodes", nodes) for kind in kinds]
        for broker in brokers:
            broker.start()
        for case in cases:
            meant = [broker for broker in brokers if case.flush_too or broker.name != FlushingKafka.name]
            self.case(case, meant + (self.options.at if nodes == 1 else []))
        for broker in brokers:
            broker.stop()

    def case(self, case, contenders):
        print(f"{case.name}: {case.title}", flush=True)
        turns = [Turn(broker, self.generator, self.options.seconds, case.topic or f"compare-{case.name}") for broker in contenders]
        results = {turn.broker.name: [] for turn in turns}
        ready = [turn for turn in turns if self.is_ready(case, turn)]
        for round_ in range(self.options.rounds + 1):
            for turn in ready if round_ % 2 == 0 else reversed(ready):
                # What one has left in the page cache would be written to the disk during the other one's turn.
                os.sync()
                found = self.attempt(case, turn.broker, lambda turn=turn: case.run(turn))
                self.say(round_, turn.broker.name, found)
                if round_ and found:
                    results[turn.broker.name].append(found)
        for turn in turns:
            self.attempt(case, turn.broker, turn.delete)
        self.rows += rows(case, results)

    def on_new_brokers(self, case, kinds, run, rounds_max=1):
        """Each round has brokers of its own."""
        print(f"{case.name}: {case.title}", flush=True)
        results = {kind: [] for kind in kinds}
        for round_ in range(1, min(self.options.rounds, rounds_max) + 1):
            for kind in kinds if round_ % 2 else reversed(kinds):
                broker = self.new_broker(kind, f"{case.name}-{round_}")
                found = self.attempt(case, broker, lambda broker=broker: run(broker, self.generator))
                self.say(round_, kind, found)
                # Its directory goes at the end: ext4 is slow to make files for minutes after many were deleted.
                broker.stop(signal.SIGKILL)
                if found:
                    results[kind].append(found)
        self.rows += rows(case, results)

    def long_log(self):
        free = shutil.disk_usage(self.directory).free
        if size_gb := size_for(free):
            self.on_new_brokers(LONG_LOG, [Eddy.name], lambda broker, generator: long_log(broker, generator, size_gb))
        else:
            needed = LONG_GB_MIN + SPARE_GB + LEFT_FREE_GB
            print(f"{LONG_LOG.name}: skipped: {self.directory} has {free / 1e9:.0f} GB free, {needed} are needed", flush=True)

    def is_ready(self, case, turn):
        failures = len(self.failures)
        self.attempt(case, turn.broker, lambda: case.prepare(turn))
        return len(self.failures) == failures

    def attempt(self, case, broker, act):
        try:
            return act()
        except (Failed, Gone, OSError) as error:
            self.failures.append(f"{case.name}, {broker.name}: {error}")
            print(f"  FAILED: {self.failures[-1]}", flush=True)
            return None

    @staticmethod
    def say(round_, name, found):
        note = ", ".join(f"{LABELS.get(key, key)} {number(value)}" for key, value in (found or {}).items())
        print(f"  {f'round {round_}' if round_ else 'warm-up'}, {name}: {note}; machine load {os.getloadavg()[0]:.1f}", flush=True)

    def run(self, cases):
        for nodes in sorted({case.nodes for case in cases if case.run}):
            self.with_nodes([case for case in cases if case.run and case.nodes == nodes], nodes)
        own = [kind for kind in self.options.contender if kind != FlushingKafka.name]
        if FOOTPRINT in cases:
            self.on_new_brokers(FOOTPRINT, own, footprint, FOOTPRINT_ROUNDS_MAX)
        if GROWTH in cases and Eddy.name in own:
            self.on_new_brokers(GROWTH, [Eddy.name], growth)
        if LONG_LOG in cases and Eddy.name in own:
            self.long_log()

    def close(self):
        for broker in self.started:
            broker.stop(signal.SIGKILL)


def pair(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("NAME=VALUE is meant")
    return name, value


def arguments():
    parser = argparse.ArgumentParser(prog="benches/compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(ALL)}; all when none is named")
    parser.add_argument("--contender", action="append", choices=KINDS, help="who is started; the first is compared with each other one (eddy, kafka, kafka-flush)")
    parser.add_argument("--at", action="append", type=pair, default=[], metavar="NAME=HOST:PORT", help="another broker that runs already, for cases of one node")
    parser.add_argument("--pid", action="append", type=pair, default=[], metavar="NAME=PID,PID", help="its processes, when they are on this machine")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="that a round of a load is measured (3)")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary, help="the broker's binary")
    parser.add_argument("--load", type=Path, default=Eddy.binary, help="the binary that makes the load, when it shall be another one")
    parser.add_argument("--wal-profile", default=Eddy.profile, help=f"wal.profile of eddy ({Eddy.profile})")
    parser.add_argument("--json", type=Path, help="where every round of every figure goes")
    parser.add_argument("--svg", type=Path, help="where the picture goes")
    parser.add_argument("--directory", type=Path, help="where the brokers' data goes; a temporary directory when not given")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(ALL):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("at least one round, and more than no seconds")
    for binary in (options.eddy, options.load):
        if not binary.exists():
            parser.error(f"{binary} is not there: cargo build --release -p eddy")
    pids = dict(options.pid)
    options.contender = options.contender or list(KINDS)
    options.at = [Remote(name, address, [int(pid) for pid in pids.get(name, "").split(",") if pid]) for name, address in options.at]
    return options


def main():
    options = arguments()
    Eddy.binary, Eddy.profile = options.eddy.resolve(), options.wal_profile
    cases = [ALL[name] for name in options.cases or ALL]
    if set(options.contender) != {Eddy.name} or ALL["perf-test"] in cases:
        Kafka.install()
    # Brokers go with this program, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = Path(tempfile.mkdtemp(prefix="eddy-compare-", dir=options.directory))
    comparison = Comparison(options, directory)
    about = {"cores": os.cpu_count(), "seconds": options.seconds, "rounds": options.rounds, "wal.profile": options.wal_profile, "load before": os.getloadavg()}
    try:
        comparison.run(cases)
    except (KeyboardInterrupt, SystemExit):
        comparison.failures.append("interrupted")
    finally:
        comparison.close()
        shutil.rmtree(directory, ignore_errors=True)
    print("\n" + table(comparison.rows))
    if options.json:
        options.json.write_text(json.dumps(document(comparison.rows, about), indent=1) + "\n")
    if options.svg:
        options.svg.write_text(picture(comparison.rows, f"eddy with fdatasync ({options.wal_profile}), ratio to others, {options.rounds} rounds"))
    for failure in comparison.failures:
        print(f"failed: {failure}", file=sys.stderr)
    sys.exit(bool(comparison.failures))


if __name__ == "__main__":
    main()
