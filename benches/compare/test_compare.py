"""What the comparison may say of its rounds."""

import json
from xml.etree import ElementTree

import pytest

from cases import CASES, Case
from figures import Ratio, Target
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
    assert [row.target is None for row in made] == [False, True, False, True]


def test_table_document_and_picture_hold_every_figure():
    made = compared([{"records_per_second": 3000.0, "p99_ms": 1.0}], [{"records_per_second": 1000.0, "p99_ms": 4.0}])
    text = table(made)
    assert "| a case | records/s | 3,000 | kafka 1,000 | 3 (3 to 3) | ≥ 2 × | eddy; met |" in text
    read = json.loads(json.dumps(document(made, {"cores": 2})))
    assert [row["rounds"] for row in read["rows"]] == [[3000.0], [1.0]]
    svg = ElementTree.fromstring(picture(made, "a <title>"))
    assert len(svg.findall("{http://www.w3.org/2000/svg}circle")) == 2


def test_cases_have_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES)
