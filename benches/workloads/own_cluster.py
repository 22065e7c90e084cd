"""What the workloads share that start three brokers of their own."""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "cluster"))

from harness.nodes import FixedPorts, Loopback


def add_options(parser):
    parser.add_argument("--eddy", type=Path, default=REPOSITORY / "target" / "release" / "eddy", help="the broker's binary")
    parser.add_argument("--port", type=int, help="first of nine ports; any free ones when not given")
    parser.add_argument("--directory", type=Path, help="where the data goes; a temporary directory when not given")
    parser.add_argument("--keep", action="store_true", help="leave data and logs")
    parser.add_argument("--json", action="store_true")


def net(options):
    return FixedPorts(options.port) if options.port else Loopback()


@contextlib.contextmanager
def directory(name, options):
    """For the data and the logs, which go afterwards if they are not to be kept."""
    path = Path(tempfile.mkdtemp(prefix=f"eddy-{name}-", dir=options.directory))
    try:
        yield path
    finally:
        print(f"machine load {os.getloadavg()[0]:.1f}")
        if options.keep:
            print(f"data and logs: {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)
