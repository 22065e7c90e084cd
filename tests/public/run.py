#!/usr/bin/env python3
"""Runs public test suites of clients against a broker that is started for them.

    tests/public/run.py kafka-python [ARGUMENTS OF PYTEST...]
    tests/public/run.py librdkafka [NUMBERS OF TESTS...]

The broker is $EDDY_BIN, by default the release build; with $KAFKA_ADDRESS=HOST:PORT a broker that runs already. Everything is fetched by package name and pinned version
into .cache/public of the repository. Exits with 1 when a test fails that is not left out below.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "public"
sys.path.insert(0, str(ROOT / "tests" / "clients"))

from harness.ports import free_port

START_SECONDS = 30

KAFKA_PYTHON = "2.3.0"
# Later source packages lack parts of their own tests.
KAFKA_PYTHON_LEFT_OUT = {
    "test_create_describe_delete_acls": "needs an authorizer",
    "test_describe_consumer_group_does_not_exist": "wants the first search for a coordinator to fail, which it does on a new Kafka only once",
    "test_transactional_producer_messages": "transactions are not served yet",
    "test_transactional_producer_offsets": "transactions are not served yet",
}
# The suite's module that finds a broker is not in its source package: this stands in for it, for a broker that runs already.
KAFKA_PYTHON_SERVICE = '''
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass


SpawnedService = None
'''

NODE_RDKAFKA = "3.6.1"
# What librdkafka 2.12 has, number:part for a part of a test, of groups, offsets, consuming and administration, apart from what needs a mock, several brokers, security or transactions.
LIBRDKAFKA_TESTS = """
    0001 0002 0003 0004 0005 0006 0007 0008 0011 0012 0013 0014 0015 0017 0018 0019 0020 0021 0022 0025 0026 0028 0029 0030 0031 0033 0034 0036
    0039 0040 0041 0042 0044 0045 0046 0048 0049 0050 0051 0052 0053 0054 0056 0057 0059 0060 0061 0062 0063 0064 0065 0067 0069 0070 0073 0074
    0078 0079 0080 0081:AlterConsumerGroupOffsets 0081:CreatePartitions 0081:CreateTopics 0081:DeleteConsumerGroupOffsets
    0081:DeleteGroups 0081:DeleteRecords 0081:DeleteTopics 0081:DescribeCluster 0081:DescribeConfigs 0081:DescribeConsumerGroups 0081:DescribeTopics
    0081:ListConsumerGroup 0081:ListOffsets 0082 0083 0084 0085 0086 0089 0090 0091 0092 0093 0099 0100 0102 0106 0107 0109 0110 0112 0113 0114 0116 0118 0122
    0125 0127 0130 0132 0140 0153
""".split()
LIBRDKAFKA_LEFT_OUT = {
    "0052": "runs Kafka's own scripts on the broker's host",
    "0061": "its second half is about transactions, which are not served yet",
    "0137": "its second half is about transactions, which are not served yet",
    "0109": "runs Kafka's own scripts on the broker's host",
    "0081, ACLs": "needs an authorizer",
    "0081, AlterConfigs and IncrementalAlterConfigs": "set a key of Kerberos",
    "0081, UserScramCredentials": "needs security, which is not served yet",
}


@contextlib.contextmanager
def broker(**settings):
    """A broker with these settings; gives its address."""
    if running := os.environ.get("KAFKA_ADDRESS"):
        yield running
        return
    binary = Path(os.environ.get("EDDY_BIN", ROOT / "target" / "release" / "eddy"))
    if not binary.exists():
        sys.exit(f"no broker at {binary}: cargo build --release -p eddy")
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as data, open(CACHE / "broker.log", "wb") as log:
        settings |= {"listeners.kafka": address, "listeners.admin": f"127.0.0.1:{free_port()}"}
        chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        # The broker refuses variables of its prefix that it does not know.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EDDY_")}
        process = subprocess.Popen([binary, "serve", "--data-dir", data, *chosen], stdout=log, stderr=log, env=environment)
        try:
            wait_for(address, process)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_SECONDS)


def wait_for(address, process):
    host, port = address.rsplit(":", 1)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.05)
    sys.exit(f"the broker did not start, see {CACHE / 'broker.log'}")


def unpacked(name, stamp, fetch):
    """A directory of the cache that `fetch` fills, once for each stamp."""
    place, mark = CACHE / name, CACHE / f"{name}.stamp"
    digest = hashlib.sha256(stamp.encode()).hexdigest()
    if not (mark.exists() and mark.read_text() == digest):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        fetch(place)
        mark.write_text(digest)
    return place


def kafka_python(arguments):
    def fetch(place):
        subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
        pip = [place / "venv" / "bin" / "pip", "-q", "--disable-pip-version-check"]
        tools = ["pytest==8.4.2", "pytest-mock==3.15.1", "pytest-timeout==2.4.0", "py==1.11.0", "crc32c==2.8", "lz4==4.4.5"]
        subprocess.run([*pip, "install", f"kafka-python=={KAFKA_PYTHON}", "setuptools==80.9.0", "wheel==0.45.1", *tools], check=True)
        source = [*pip, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", place, f"kafka-python=={KAFKA_PYTHON}"]
        subprocess.run(source, check=True)
        with tarfile.open(place / f"kafka_python-{KAFKA_PYTHON}.tar.gz") as archive:
            archive.extractall(place, filter="data")
        tests = place / f"kafka_python-{KAFKA_PYTHON}" / "test"
        (tests / "__init__.py").touch()
        (tests / "service.py").write_text(KAFKA_PYTHON_SERVICE)

    place = unpacked("kafka-python", KAFKA_PYTHON + KAFKA_PYTHON_SERVICE, fetch)
    # The tests of SASL start brokers of their own; the suite's broker has id 0 and topics of four partitions.
    chosen = ["test/integration", "--ignore", "test/integration/test_sasl_integration.py"]
    for name, reason in KAFKA_PYTHON_LEFT_OUT.items():
        print(f"left out: {name}: {reason}")
    chosen += ["-k", " and ".join(f"not {name}" for name in KAFKA_PYTHON_LEFT_OUT)]
    with broker(**{"node.id": 0, "num.partitions": 4}) as address:
        environment = {**os.environ, "KAFKA_VERSION": "4.0.0", "KAFKA_URI": f"kafka://{address}", "KAFKA_ROOT": str(place)}
        command = [place / "venv" / "bin" / "python", "-m", "pytest", "-q", "--timeout", "120", *chosen, *arguments]
        return subprocess.run(command, cwd=place / f"kafka_python-{KAFKA_PYTHON}", env=environment).returncode


def librdkafka(arguments):
    def fetch(place):
        subprocess.run(["npm", "pack", "--silent", f"node-rdkafka@{NODE_RDKAFKA}"], cwd=place, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(place / f"node-rdkafka-{NODE_RDKAFKA}.tgz") as archive:
            archive.extractall(place, filter="data")
        source = place / "package" / "deps" / "librdkafka"
        for script in [source / "configure", source / "lds-gen.py", *(source / "tests").glob("*.sh")]:
            script.chmod(0o755)
        for command in (["./configure", "--disable-lz4-ext"], ["make", "-C", "src"], ["make", "-C", "src-cpp"], ["make", "-C", "tests", "build"]):
            with open(place / "build.log", "ab") as log:
                if subprocess.run(command, cwd=source, stdout=log, stderr=log).returncode:
                    sys.exit(f"cannot build librdkafka's tests, see {place / 'build.log'}")

    place = unpacked("librdkafka", NODE_RDKAFKA, fetch)
    tests = place / "package" / "deps" / "librdkafka" / "tests"
    for name, reason in LIBRDKAFKA_LEFT_OUT.items():
        print(f"left out: {name}: {reason}")
    failed = []
    with broker(**{"num.partitions": 4}) as address:
        (tests / "test.conf").write_text(f"bootstrap.servers={address}\n")
        for test in arguments or [test for test in LIBRDKAFKA_TESTS if test not in LIBRDKAFKA_LEFT_OUT]:
            # One test a process: the runner runs them at once, which two cores do not carry. Mocks say nothing of a broker.
            number, _, part = test.partition(":")
            environment = {**os.environ, "TESTS": number, "SUBTESTS": part, "TEST_KAFKA_VERSION": "4.0.0", "TESTS_SKIP": "mock", "LD_LIBRARY_PATH": "../src:../src-cpp"}
            began = time.monotonic()
            run = subprocess.run(["./test-runner", "-p1"], cwd=tests, env=environment, capture_output=True, text=True, errors="replace", timeout=900)
            ended = "passed" if run.returncode == 0 else "FAILED"
            print(f"{ended}: {test} in {time.monotonic() - began:.0f} s", flush=True)
            if run.returncode:
                failed.append(test)
                (CACHE / f"librdkafka-{test.replace(':', '-')}.log").write_text(run.stdout + run.stderr)
                print("\n".join(re.findall(r"^.*(?:TEST FAILURE|FAILED).*$", run.stdout + run.stderr, re.M)[:5]))
    print(f"{len(failed)} failed: {' '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def main():
    suites = {"kafka-python": kafka_python, "librdkafka": librdkafka}
    if len(sys.argv) < 2 or sys.argv[1] not in suites:
        print(__doc__)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    return suites[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
