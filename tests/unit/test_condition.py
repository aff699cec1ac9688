"""What a worker says of itself."""

from __future__ import annotations

import pytest

from persqa.phases import Phase
from worker.process.condition import Condition


def test_a_phase_begins_once_and_the_last_one_stays() -> None:
    condition = Condition()
    condition.enter(Phase.LOADING)
    begun = condition.phase
    condition.enter(Phase.LOADING)
    assert condition.phase == begun
    for phase in (Phase.STOPPING, Phase.READY):
        condition.enter(phase)
    assert condition.phase[0] is Phase.STOPPING


def test_what_several_wait_for_is_said_once_and_since_the_first() -> None:
    condition = Condition()
    condition.begin("first", "the disk is full")
    condition.begin("second", "the disk is full")
    (found,) = condition.hindrances
    condition.begin("first", "the disk is full")
    assert condition.hindrances == (found,)
    condition.begin("first", "the disk is broken")
    assert [one.sentence for one in condition.hindrances] == ["the disk is broken", "the disk is full"]
    assert condition.hindrances[0].since == found.since, "it is the same that goes on"
    condition.end("first")
    condition.end("first")
    assert [one.sentence for one in condition.hindrances] == ["the disk is full"]


def test_a_thousand_sentences_are_not_for_people() -> None:
    condition = Condition()
    for number in range(1000):
        condition.begin(number, f"image {number} cannot be read")
    assert [one.sentence for one in condition.hindrances][:2] == ["image 0 cannot be read", "image 1 cannot be read"]
    assert len(condition.hindrances) == 5


def test_what_is_waited_for_ends_with_the_block_however_that_ends() -> None:
    condition = Condition()

    def fail() -> None:
        with condition.hindered() as hindered:
            assert condition.hindrances == ()
            hindered("the disk is full")
            assert condition.hindrances
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert condition.hindrances == ()


def test_what_takes_long_is_said_unless_there_is_more_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    condition = Condition()
    with condition.hindered(slow="the database takes long") as hindered:
        assert condition.hindrances == ()
        monkeypatch.setattr("worker.process.condition._SLOW_SECONDS", 0.0)
        assert [one.sentence for one in condition.hindrances] == ["the database takes long"]
        hindered("the disk is full")
        assert [one.sentence for one in condition.hindrances] == ["the disk is full"]
    assert condition.hindrances == ()


def test_who_tells_of_it_is_woken_by_changes_alone() -> None:
    condition = Condition()
    condition.begin("disk", "full")
    assert condition.changed.is_set()
    condition.changed.clear()
    condition.begin("disk", "full")
    condition.end("another")
    condition.enter(Phase.STARTING)
    assert not condition.changed.is_set()
