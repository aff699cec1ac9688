"""Acts go on beside the pages, end with a sentence whatever happens, and are not begun twice."""

from __future__ import annotations

import threading
from array import array

import pytest

from persqa.errors import RunConflict, RunStopped
from persqa.results import Status
from persqa.runs import RunId
from producer.web.acts import Acts, Asked


def test_one_of_a_kind_goes_on_for_each_run() -> None:
    acts, may_end = Acts(), threading.Event()

    def takes_long() -> str:
        assert may_end.wait(30)
        return "done"

    first = acts.start("a", "requeue", takes_long)
    with pytest.raises(RunConflict, match="under way for the run 'a'"):
        acts.start("a", "requeue", takes_long)
    others = [acts.start("a", "pause", takes_long), acts.start("b", "requeue", takes_long)]
    assert acts.get(first.number) is first
    assert not first.ended.is_set()
    may_end.set()
    assert all(act.ended.wait(30) for act in (first, *others))
    assert (first.said, first.failed) == ("done", False)
    again = acts.start("a", "requeue", lambda: "once more")
    assert again.ended.wait(30)


def test_an_error_for_people_is_what_is_said() -> None:
    def fails() -> str:
        raise RunStopped("the run is done")

    act = Acts().start("a", "pause", fails)
    assert act.ended.wait(30)
    assert (act.said, act.failed) == ("the run is done", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_it_too() -> None:
    def fails() -> str:
        raise KeyError("nobody thought of this")

    act = Acts().start("a", "pause", fails)
    assert act.ended.wait(30)
    assert act.failed
    assert "defect" in act.said


def test_what_people_were_asked_about_long_ago_is_forgotten() -> None:
    acts = Acts()
    asked = [Asked(run_id=RunId(1), items=array("q", [number]), status=Status.DEAD) for number in range(20)]
    numbers = [acts.remember(one) for one in asked]
    assert acts.asked(numbers[-1]) is asked[-1]
    assert acts.asked(numbers[0]) is None
    assert acts.asked("") is None
