"""What the comparison may say of its rounds."""

import json
from xml.etree import ElementTree

import pytest

from cases import CASES, Case, Failed
from documents import DOCUMENTS, complete
from figures import Ratio, Target
from footprint import FOOTPRINT, GROWTH
from long_log import GB, LONG_LOG, size_for
from report import document, picture, rows, table

CASE = Case("c", "a case", None, targets=(Target("records_per_second", 2), Target("p99_ms", 0.5), Target("resident_mib", 100, None)))


def compared(ours, theirs):
    return rows(CASE, {"eddy": ours, "kafka": theirs})


def verdict(figure, ours, theirs):
    made = compared([{figure: value} for value in ours], [{figure: value} for value in theirs])
    return made[0].verdict


@pytest.mark.parametrize(
    "figure, ours, theirs, said",
    [
        ("records_per_second", [30, 31, 32], [10, 11, 12], "eddy; met"),
        ("records_per_second", [15, 16, 17], [10, 11, 12], "eddy; MISSED"),
        ("records_per_second", [9, 30, 31], [10, 11, 12], "no winner: the rounds overlap; met"),
        ("records_per_second", [5, 6, 7], [10, 11, 12], "kafka; MISSED"),
        ("p99_ms", [1, 1, 2], [10, 11, 12], "eddy; met"),
        ("p99_ms", [9, 9, 9], [10, 11, 12], "eddy; MISSED"),
        ("p50_ms", [13, 13], [10, 11], "kafka"),
        ("resident_mib", [90, 95], [1000, 1000], "eddy; met"),
        ("resident_mib", [190, 195], [1000, 1000], "eddy; MISSED"),
        ("p99_ms", [], [1], ""),
        ("p99_ms", [1], [], ""),
    ],
)
def test_a_winner_needs_rounds_that_do_not_overlap_and_a_target_its_median(figure, ours, theirs, said):
    assert verdict(figure, ours, theirs) == said


def test_a_ratio_is_of_medians_and_its_spread_of_any_two_rounds():
    assert Ratio.of([10, 30, 20], [5, 10, 8]) == Ratio(2.5, 1, 6)
    assert Ratio.of([1], [0]) is None


def test_the_first_contender_is_beside_each_other_one():
    figures = [{"records_per_second": 1.0, "p99_ms": 2.0}]
    made = rows(CASE, {"eddy": figures, "kafka": figures, "other": figures})
    assert [(row.figure, row.them) for row in made] == [
        ("records_per_second", "kafka"), ("records_per_second", "other"), ("p99_ms", "kafka"), ("p99_ms", "other"),
    ]
    assert [bool(row.targets) for row in made] == [True, False, True, False]


def test_table_document_and_picture_hold_every_figure():
    made = compared([{"records_per_second": 3000.0, "p99_ms": 1.0}], [{"records_per_second": 1000.0, "p99_ms": 4.0}])
    text = table(made)
    assert "| a case | records/s | 3,000 | kafka 1,000 | 3 (3 to 3) | ≥ 2 × | eddy; met |" in text
    read = json.loads(json.dumps(document(made, {"cores": 2})))
    assert [row["rounds"] for row in read["rows"]] == [[3000.0], [1.0]]
    svg = ElementTree.fromstring(picture(made, "a <title>"))
    assert len(svg.findall("{http://www.w3.org/2000/svg}circle")) == 2


def test_cases_have_names_of_their_own():
    cases = [*CASES, *DOCUMENTS, FOOTPRINT, GROWTH, LONG_LOG]
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("ours, said", [([60_000, 70_000], "eddy; met; met"), ([30_000, 31_000], "eddy; met; MISSED"), ([9_000], "kafka; MISSED; MISSED")])
def test_a_figure_may_have_a_target_beside_another_and_one_of_its_own(ours, said):
    case = Case("c", "a case", None, targets=(Target("records_per_second", 1.5), Target("records_per_second", 60_000, None)))
    row, = rows(case, {"eddy": [{"records_per_second": value} for value in ours], "kafka": [{"records_per_second": 10_000}]})
    assert (row.target, row.verdict) == ("≥ 1.5 ×; ≥ 60,000", said)


def test_an_absolute_target_needs_no_contender():
    case = Case("c", "a case", None, targets=(Target("ready_long_log_ms", 1000, None),))
    row, = rows(case, {"eddy": [{"ready_long_log_ms": 600}]})
    assert (row.target, row.verdict) == ("≤ 1,000", "met")


@pytest.mark.parametrize("wrong", [{"acknowledged": 9}, {"errors": {"KafkaTimeoutError": 1}}, {"lost": 1}])
def test_a_workload_counts_when_every_record_is_acknowledged_and_read_back(wrong):
    found = {"acknowledged": 10, "records/s in the cluster": 5.0, "p50 ms": 1.0, "p99 ms": 2.0, "errors": {}, "lost": 0}
    assert complete(found, 10) == {"records_per_second": 5.0, "p50_ms": 1.0, "p99_ms": 2.0}
    with pytest.raises(Failed):
        complete(found | wrong, 10)


@pytest.mark.parametrize("free_gb, size_gb", [(100, 20), (35, 20), (21, 6), (20, 5), (19, None), (0, None)])
def test_a_long_log_leaves_room_on_the_disk(free_gb, size_gb):
    assert size_for(free_gb * GB) == size_gb
