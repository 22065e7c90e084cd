#!/usr/bin/env python3
"""Counts the instructions of what a broker does all the time, and compares them with those that are recorded.

    benches/instructions.py             exit status 1 when an operation takes 5 % more than recorded
    benches/instructions.py --record    writes what it counts to instructions.json

Instructions do not depend on what else the machine does, as times do. Valgrind counts them, in a release build. An operation's count is the
difference of two runs, so that what it takes to begin is not in it.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).resolve().with_name("instructions.json")
BINARY = REPOSITORY / "target" / "release" / "eddy-instructions"
BUILD = ["cargo", "build", "--release", "-p", "eddy", "-p", "eddy-benches"]
FEW, MANY = 50, 250
MORE_MAX = 0.05
COLLECTED = re.compile(r"Collected : (\d+)")


def counted(name, times):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(BINARY), name, str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = COLLECTED.search(done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return int(found[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    subprocess.run(BUILD, cwd=REPOSITORY, check=True)
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
