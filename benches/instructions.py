#!/usr/bin/env python3
"""Counts the instructions of what a broker does all the time, and compares them with those that are recorded.

    benches/instructions.py             exit status 1 when an operation takes 5 % more than recorded
    benches/instructions.py --record    writes what it counts to instructions.json

Instructions do not depend on what else the machine does, as times do. Valgrind counts them, in the build that the tests use: optimised little,
which is compiled in half the time. An operation's count is the difference of two runs, so that what it takes to begin is not in it, and is that of the
threads that work for it: its own and the write-ahead log's. What others do by the clock would make it differ by a third from run to run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).resolve().with_name("instructions.json")
BINARY = REPOSITORY / "target" / "release" / "eddy-instructions"
BUILD = ["cargo", "build", "--release", "-p", "eddy", "-p", "eddy-benches"]
FEW, MANY = 50, 1050
MORE_MAX = 0.05
LITTLE = {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "1", "CARGO_PROFILE_RELEASE_DEBUG": "0"}
WORKS_FOR_IT = "eddy-wal"
TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def counted(name, times):
    with tempfile.TemporaryDirectory() as directory:
        count = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={directory}/of"]
        command = [*count, str(BINARY), name, str(times)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        threads = done.stdout.splitlines()
        # One file a thread, by number, and one without anything.
        counts = [TOTAL.search(file.read_text()) for file in sorted(Path(directory).glob("of-*"))]
    if done.returncode != 0 or len(counts) != len(threads) or not all(counts):
        sys.exit(f"{' '.join(command)}: {len(counts)} counts of threads {threads}: {done.stderr}")
    return sum(int(found[1]) for number, (found, thread) in enumerate(zip(counts, threads)) if number == 0 or thread == WORKS_FOR_IT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    subprocess.run(BUILD, cwd=REPOSITORY, check=True, env=os.environ | LITTLE)
    names = subprocess.run([BINARY], capture_output=True, text=True, check=True).stdout.splitlines()
    recorded = {} if options.record else json.loads(RECORDED.read_text())
    found, worse = {}, []
    for name in names:
        found[name] = round((counted(name, MANY) - counted(name, FEW)) / (MANY - FEW))
        before = recorded.get(name)
        change = f"{found[name] / before - 1:+8.1%}" if before else " " * 8
        print(f"{found[name]:>12,} {change}  {name}", flush=True)
        if not options.record and (before is None or found[name] > before * (1 + MORE_MAX)):
            worse.append(name)
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    for name in worse:
        print(f"more than recorded: {name}: if it has to be, say why and run benches/instructions.py --record", file=sys.stderr)
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
