"""A short selection of the scenarios, some seconds each. All of them, and for longer: tests/cluster/run.py."""

import os

import pytest

from harness import paths
from run import run
from scenarios import NEEDS_LINKS

SECONDS = 12
SEED = int(os.environ.get("CLUSTER_SEED", "1"))


def clean(scenario, directory, **length):
    if not paths.EDDY.exists():
        pytest.skip(f"{paths.EDDY} is not built")
    assert scenario not in NEEDS_LINKS
    report = run(scenario, SECONDS, SEED, directory=directory / scenario, **length)
    print(report)
    assert report["violations"] == []
    # A run in which nothing happens proves nothing.
    assert report["faults"] > 0 and report["sends"]["ok"] > 100
    return report


@pytest.mark.parametrize("scenario", ["C1", "C3", "C13"], ids=["kills", "pauses", "lost_disks"])
def test_nothing_that_was_promised_is_broken(scenario, tmp_path):
    clean(scenario, tmp_path)


@pytest.mark.parametrize(
    "scenario",
    ["W5", "X17", "X23", "X24", "X25", "X26"],
    ids=["lost_answers", "offset_races", "start_orders", "topics_everywhere", "many_topics", "no_metadata_on_the_way_of_a_record"],
)
def test_a_known_trap_is_avoided(scenario, tmp_path):
    clean(scenario, tmp_path, rounds=1)
