#!/usr/bin/env python3
"""The long form of the tests of search: 50 kills, a million lines, a minute of overload.

    scripts/test search              the short form
    tests/search/run.py              the long form; arguments go to pytest, such as -k crashes

EDDY_BIN is the binary (default: target/release/eddy of this tree). Needs the Python environment that tests/clients/setup makes.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".cache" / "clients" / "harness" / "bin" / "python"


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__.strip())
        return
    if not PYTHON.exists():
        sys.exit("SKIPPED: no Python environment with pytest: run tests/clients/setup")
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", "-c", str(HERE / "pytest.ini"), str(HERE), "--long", *sys.argv[1:]])


if __name__ == "__main__":
    main()
