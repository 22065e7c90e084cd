"""A short selection of the scenarios, about half a minute each. All of them, and for longer: tests/cluster/run.py."""

import os

import pytest

from run import binary, run
from scenarios import NEEDS_LINKS

SECONDS = 12
SEED = int(os.environ.get("CLUSTER_SEED", "1"))


@pytest.mark.parametrize("scenario", ["C1", "C3", "C13"], ids=["kills", "pauses", "lost_disks"])
def test_nothing_that_was_promised_is_broken(scenario, tmp_path):
    if not binary().exists():
        pytest.skip(f"no binary: {binary()}")
    assert scenario not in NEEDS_LINKS
    report = run(scenario, SECONDS, SEED, directory=tmp_path / scenario)
    print(report)
    assert report["violations"] == []
    # A run in which nothing happens proves nothing.
    assert report["faults"] > 0 and report["sends"]["ok"] > 100
