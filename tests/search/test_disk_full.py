"""An index whose disk has no room left: the log goes on, and so does the index when there is room again."""

import os
import random
import subprocess

import pytest

from api import Refused
from harness.waiting import wait_for
from records import consume, produce

DISK_BYTES = 64 << 20
# So many splits of so many records become one.
RECORDS, SPLITS = 64, 8


class SmallDisk:
    """A file system that others' records do not share, and that is filled on demand."""

    def __init__(self, directory):
        self.directory, self.ballast = directory, directory / "ballast"
        directory.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", directory], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"needs to mount a small disk: {made.stderr.strip()}")

    def leave(self, count):
        """Leaves room for so many bytes."""
        self.empty()
        room = os.statvfs(self.directory)
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - count)

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", self.directory], check=True)


@pytest.fixture
def small_disk(own_broker, tmp_path):
    """The disk on which the indexes of the test's own broker are."""
    own_broker.stop()
    disk = SmallDisk(tmp_path / "disk")
    try:
        (disk.directory / "index").mkdir()
        (own_broker.directory / "data" / "index").symlink_to(disk.directory / "index")
        own_broker.start()
        yield disk
    finally:
        own_broker.close()
        disk.close()


def test_a_full_disk_holds_up_the_index_and_nothing_else(own_broker, small_disk):
    broker, rng, written = own_broker, random.Random(7), 0
    broker.create_topic("plain", 1)
    broker.create_topic("full", 1, **{"search.enable": "true"})

    def write():
        nonlocal written
        # Words that no other record has: an index of about the size of the records.
        produce(broker.bootstrap, "full", [{"n": written + n, "text": rng.randbytes(3000).hex(" ", 4)} for n in range(RECORDS)])
        written += RECORDS
        return written

    def count(**parameters):
        return broker.api.count("full", "text:*", **parameters)

    def log_has(text):
        return text in broker.log_tail(1000)

    for _ in range(SPLITS - 1):
        write()
        assert count(refresh="wait_for") == written
    split_bytes = broker.api.status("full")[0]["bytes"] // (SPLITS - 1)

    # Room for a few splits, and not for what they become.
    small_disk.leave(4 * split_bytes)
    write()
    assert count(refresh="wait_for") == written
    wait_for("a merge to fail", lambda: log_has("cannot merge the splits"))
    write()
    assert count(refresh="wait_for") == written

    # Room for nothing.
    small_disk.leave(0)
    indexed = written
    write()
    wait_for("indexing to fail", lambda: log_has("cannot index new records"))
    assert count() == indexed
    with pytest.raises(Refused) as refused:
        count(refresh="wait_for", timeout="1s")
    assert (refused.value.status, refused.value.body["error"]["code"]) == (504, "ED-4505"), refused.value
    assert broker.api.status("full")[0]["lag_records"] == written - indexed
    produce(broker.bootstrap, "plain", [{"n": n} for n in range(1000)])
    assert len(consume(broker.bootstrap, "plain")) == 1000 and len(consume(broker.bootstrap, "full")) == written
    broker.stop()
    broker.start()
    assert count() == indexed

    small_disk.empty()
    assert count(refresh="wait_for", timeout="60s") == written
    assert sorted(hit["value"]["n"] for hit in broker.api.everything("full")) == list(range(written))
    wait_for("the splits to be merged", lambda: broker.api.status("full")[0]["splits"] < SPLITS)
    assert count() == written and broker.api.metrics()["eddy_index_rebuilds_total"] == 0
