#!/usr/bin/env python3
"""What a long log costs: the same load and the same crash with one GB in a topic, and with many.

    cargo build --release -p eddy
    benches/workloads/log_size.py                      1 and 100 GB, where the disk has room for them
    benches/workloads/log_size.py 1 10 --directory /mnt/large

At each size: 128 producers that wait for each of their records of 256 bytes, for ten seconds; kill -9 and a start, and the first GB read
by one consumer. Exit status 1 when a record costs more than 1.5 times the processor time of the smallest size, or a start takes more
than a second. `benches/compare long-log` is a shorter run of it.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))

from cases import Failed, Turn
from contenders import Eddy, Gone
from long_log import COST_MAX, GB, READY_MS_MAX, RECORD_BYTES, SPARE_GB, grown

SECONDS = 10
COLUMNS = ["GB", "records/s", "p99 ms", "CPU us a record", "cost", "ready after kill -9, ms", "MB/s read", "MiB"]


def measure(broker, sizes):
    """Prints a line a size; gives the claims that do not hold."""
    wrong, first, filled = [], None, 0
    turn = Turn(broker, str(Eddy.binary), SECONDS, "log")
    print("\t".join(COLUMNS), flush=True)
    for size in sizes:
        found = grown(turn, filled, size)
        read = turn.bench("consume", "--number", str(GB // RECORD_BYTES))
        filled = size
        us_per_record, ready_ms = found["broker_us_per_record"], found["ready_ms"]
        first = first or us_per_record
        cost = us_per_record / first
        row = [size, found["records_per_second"], found["p99_ms"], us_per_record, cost, ready_ms, read["megabytes_per_second"], found["resident_mib"]]
        print("\t".join(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in row), flush=True)
        if cost > COST_MAX:
            wrong.append(f"{size} GB: a record costs {cost:.2f} times that of the smallest size")
        if ready_ms > READY_MS_MAX:
            wrong.append(f"{size} GB: a start took {ready_ms:.0f} ms")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gigabytes", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--directory", type=Path, help="where the data goes; a temporary directory when not given")
    parser.add_argument("--eddy", type=Path, default=Eddy.binary, help="the broker's binary")
    options = parser.parse_args()
    Eddy.binary = options.eddy.resolve()
    directory = Path(tempfile.mkdtemp(prefix="eddy-log-size-", dir=options.directory))
    sizes = sorted(options.gigabytes)
    try:
        free = shutil.disk_usage(directory).free / GB
        if free < sizes[-1] + SPARE_GB:
            sys.exit(f"{directory} has {free:.0f} GB free, {sizes[-1] + SPARE_GB} are needed: give smaller sizes or another --directory")
        broker = Eddy(directory / "broker")
        try:
            broker.start()
            wrong = measure(broker, sizes)
        except (Failed, Gone) as error:
            sys.exit(str(error))
        finally:
            broker.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
