#!/usr/bin/env python3
"""What a long log costs: the same load and the same crash with one GB in a topic, and with many.

    cargo build --release -p eddy
    benches/workloads/log_size.py                      1 and 100 GB, where the disk has room for them
    benches/workloads/log_size.py 1 10 --directory /mnt/large

At each size: 128 producers that wait for each of their records of 256 bytes, for ten seconds; kill -9 and a start, and the first GB read
by one consumer. Exit status 1 when a record costs more than 1.5 times the processor time of the smallest size, or a start takes more
than a second.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from compare.contenders import Eddy
from profiles import bench

GB = 1_000_000_000
RECORD_BYTES = 1024
PARTITIONS = 16
COST_MAX, READY_MS_MAX = 1.5, 1000
# What the write-ahead log and the closed loops need beside the topic.
SPARE_BYTES = 5 * GB
COLUMNS = ["GB", "records/s", "p99 ms", "CPU us a record", "cost", "ready after kill -9, ms", "MB/s read", "MiB"]


def report(broker, kind, *arguments):
    found, code = bench(broker, kind, *arguments)
    if code != 0:
        sys.exit(f"eddy bench {kind} {' '.join(arguments)} ended with {code}: {found}")
    return found


def measure(broker, size, filled):
    missing = (size - filled) // RECORD_BYTES
    report(broker, "produce", "log", "--partitions", str(PARTITIONS), "--record-size", str(RECORD_BYTES), "--number", str(missing))
    load = ["--in-flight", "1", "--clients", "128", "--record-size", "256", "--duration", "10s", "--warm-up", "2s"]
    closed = report(broker, "produce", "log", *load)
    resident = broker.resident_mib()
    broker.stop(signal.SIGKILL)
    ready_ms = broker.start()
    read = report(broker, "consume", "log", "--number", str(GB // RECORD_BYTES))
    us_per_record = closed["broker_cores"] * 1e6 / closed["records_per_second"]
    return [closed["records_per_second"], closed["p99_ms"], us_per_record], [ready_ms, read["megabytes_per_second"], resident]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gigabytes", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--directory", type=Path, help="where the data goes; a temporary directory when not given")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="eddy-log-size-", dir=options.directory))
    sizes = sorted(gigabytes * GB for gigabytes in options.gigabytes)
    try:
        free = shutil.disk_usage(directory).free
        if free < sizes[-1] + SPARE_BYTES:
            sys.exit(f"{directory} has {free / GB:.0f} GB free, {(sizes[-1] + SPARE_BYTES) / GB:.0f} are needed: give smaller sizes or another --directory")
        broker = Eddy(directory / "broker")
        broker.start()
        wrong, first, filled = [], None, 0
        print("\t".join(COLUMNS), flush=True)
        try:
            for size in sizes:
                produced, started = measure(broker, size, filled)
                filled = size
                first = first or produced[-1]
                cost = produced[-1] / first
                row = [size / GB, *produced, cost, *started]
                print("\t".join(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in row), flush=True)
                if cost > COST_MAX:
                    wrong.append(f"{size / GB:.0f} GB: a record costs {cost:.2f} times that of the smallest size")
                if started[0] > READY_MS_MAX:
                    wrong.append(f"{size / GB:.0f} GB: a start took {started[0]:.0f} ms")
        finally:
            broker.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
