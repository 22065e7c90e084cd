"""The checker must find each anomaly: a checker that finds nothing proves nothing."""

import pytest

from harness.checker import check_history, check_leaders, check_replicas
from harness.history import FAIL, INFO, INVOKE, OK, POLL, RESEND, SEND
from harness.segments import Batch

KEY = "t-0"


class Story:
    """Events one after the other; a healthy history unless a test says otherwise."""

    def __init__(self):
        self.events, self.now = [], 0

    def add(self, f, type_, process=1, **rest):
        self.now += 1
        self.events.append({"t": self.now, "process": process, "f": f, "type": type_, "key": KEY, **rest})
        return self

    def send(self, value, type_=OK, offset=None, process=1, **rest):
        self.add(SEND, INVOKE, process, value=value)
        return self.add(SEND, type_, process, value=value, offset=offset, **rest)

    def poll(self, *records, process=9):
        return self.add(POLL, OK, process, value={KEY: list(records)})

    def properties(self, *final):
        return {violation.property for violation in check_history(self.events, {KEY: list(final)})}


def test_a_healthy_history_passes():
    story = Story().send("a", offset=0).send("b", offset=1).send("c", INFO).send("d", FAIL).poll((0, "a")).poll((1, "b"))
    assert story.properties((0, "a"), (1, "b")) == set()
    assert story.properties((0, "a"), (1, "b"), (2, "c")) == set(), "unknown may mean written"


def test_a_lost_acknowledged_record_is_found():
    assert "L1" in Story().send("a", offset=0).send("b", offset=1).properties((0, "a"))


def test_an_acknowledged_record_at_another_offset_is_found():
    assert "L1" in Story().send("a", offset=1).properties((0, "x"), (1, "y"), (2, "a"))


def test_an_acknowledgement_without_an_offset_still_counts():
    assert Story().send("a", offset=-1).properties((0, "a")) == set()
    assert Story().send("a", offset=-1).properties((0, "b")) == {"L1"}


def test_a_batch_that_is_sent_again_and_gets_another_offset_is_found():
    def sent_again(offset):
        return Story().send("a", offset=0).add(RESEND, OK, value="a", offset=offset, error=0).properties((0, "a"))

    assert sent_again(0) == set()
    assert sent_again(1) == {"I1"}


def test_a_producer_with_nothing_open_that_is_out_of_order_is_found():
    assert Story().send("a", INFO, error=[6, 45]).properties() == {"I1"}
    assert Story().send("a", INFO, error=[6, 20]).properties() == set()


def test_two_values_at_one_offset_are_found():
    assert "L2" in Story().poll((0, "a")).properties((0, "b"))
    assert "L2" in Story().send("a", offset=0).send("b", offset=0).properties((0, "a"))


def test_a_duplicate_is_found():
    assert Story().send("a", offset=0).properties((0, "a"), (1, "a")) == {"L3"}


def test_a_gap_is_found():
    assert Story().properties((0, "a"), (2, "b")) == {"L4"}


def test_an_order_against_real_time_is_found():
    assert Story().send("a", offset=1).send("b", offset=0).properties((0, "b"), (1, "a")) == {"L5"}


def test_concurrent_sends_may_come_in_any_order():
    story = Story().add(SEND, INVOKE, 1, value="a").add(SEND, INVOKE, 2, value="b")
    story.add(SEND, OK, 1, value="a", offset=1).add(SEND, OK, 2, value="b", offset=0)
    assert story.properties((0, "b"), (1, "a")) == set()


def test_what_was_read_and_disappeared_is_found():
    assert "L7" in Story().poll((0, "a"), (1, "b")).properties((0, "a"))


@pytest.mark.parametrize("second", [0, 2], ids=["goes back", "skips"])
def test_a_consumer_that_skips_or_goes_back_is_found(second):
    final = [(0, "a"), (1, "b"), (2, "c")]
    assert Story().poll((0, "a")).poll(final[second]).properties(*final) == {"L8"}


def test_a_refused_record_that_is_there_is_found():
    assert Story().send("a", FAIL).properties((0, "a")) == {"L9"}


def test_an_error_with_an_offset_is_found():
    assert "L10" in Story().send("a", INFO, offset=3, error="timeout").properties()


def batch(base, last, epoch=1, digest="same", valid=True):
    return Batch(base, last, epoch, digest, valid)


def found(replicas):
    return {violation.property for violation in check_replicas({KEY: replicas})}


def test_equal_replicas_pass():
    log = [batch(0, 4), batch(5, 5), batch(6, 9, epoch=2)]
    assert found({1: log, 2: list(log), 3: list(log)}) == set()


def test_replicas_may_begin_at_different_offsets():
    assert found({1: [batch(0, 4), batch(5, 6)], 2: [batch(5, 6)]}) == set()


def test_replicas_that_differ_are_found():
    assert found({1: [batch(0, 4)], 2: [batch(0, 4, digest="other")]}) == {"R1"}
    assert found({1: [batch(0, 4), batch(5, 6)], 2: [batch(0, 4)]}) == {"R1"}
    assert found({1: [batch(0, 4)], 2: []}) == {"R1"}


def test_gaps_falling_epochs_and_damage_on_disk_are_found():
    assert found({1: [batch(0, 4), batch(6, 9)]}) == {"L4"}
    assert found({1: [batch(0, 4, epoch=3), batch(5, 9, epoch=2)]}) == {"L4"}
    assert found({1: [batch(0, 4, valid=False)]}) == {"R7"}


def test_two_leaders_of_one_epoch_are_found():
    assert not list(check_leaders([(KEY, 1, 1), (KEY, 1, 1), (KEY, 2, 3), (KEY, 3, -1)]))
    assert list(check_leaders([(KEY, 1, 1), (KEY, 1, 2)]))
