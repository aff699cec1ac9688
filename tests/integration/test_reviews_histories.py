"""Whatever people say of results and take back: what holds, and what held before, is what a model says."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persqa.pairs import Choice
from persqa.results import Outcome
from persqa.reviews import Decision
from tests.support.builders import an_outcome
from tests.support.reviewing import MODEL_ANSWER, answered, content, in_small_steps, said

if TYPE_CHECKING:
    from persqa.items import ItemId
    from persqa.runs import Run
    from persqa.store import Store

_NAMES = count()
#: What somebody does, with which items, what is said, and by which action.
_Step: TypeAlias = tuple[str, set[int], dict[str, Any], str]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_steps(monkeypatch)


_ITEMS = st.sets(st.integers(0, 3), min_size=1)
_GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "decision": st.sampled_from([None, *Decision]),
        "answer": st.sampled_from([None, MODEL_ANSWER, "<mam> sits.", ""]),
        "starred": st.booleans(),
        "note": st.sampled_from(["", "blurred"]),
    },
)
_ACTION = st.integers(0, 3).map(str)
_STEPS = st.lists(
    st.tuples(st.sampled_from(["change", "change", "undo", "requeue"]), _ITEMS, _GIVEN, _ACTION), max_size=9
)
_NOTHING: dict[str, Any] = {"decision": None, "answer": None, "starred": False, "note": ""}


class _Model:
    """What holds of each item, and what held before, with what replaced it; said in a few lines of Python."""

    def __init__(self) -> None:
        self.now: dict[int, dict[str, Any]] = {}
        self.before: defaultdict[int, list[tuple[dict[str, Any], str | None]]] = defaultdict(list)

    def change(self, items: set[int], given: dict[str, Any], action: str) -> list[int]:
        changed: list[int] = []
        for item in sorted(items):
            old = self.now.get(item)
            new = {**(old or _NOTHING), **given, "action": action}
            if new["answer"] == MODEL_ANSWER:
                new["answer"] = None
            said_of_it = [old, *(review for review, _ in self.before[item])]
            if any(review is not None and review["action"] == action for review in said_of_it):
                continue
            if all(new[name] == (old or _NOTHING)[name] for name in given):
                continue
            if old is not None:
                self.before[item].append((old, action))
            self.now[item] = new
            changed.append(item)
        return changed

    def undo(self, action: str) -> list[int]:
        undone = [item for item, review in sorted(self.now.items()) if review["action"] == action]
        for item in undone:
            own = self.before[item]
            own.append((self.now.pop(item), None))
            last = max((place for place, (_, by) in enumerate(own) if by == action), default=None)
            if last is not None:
                self.now[item], _ = own.pop(last)
        return undone

    def requeue(self, items: set[int]) -> None:
        for item in items & {*self.now}:
            self.before[item].append((self.now.pop(item), None))


@pytest.mark.usefixtures("small_steps")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=_STEPS)
def test_whatever_people_do_what_holds_and_what_held_is_what_theycontent(store: Store, steps: list[_Step]) -> None:
    run, ids = answered(store, 4, f"run {next(_NAMES)}")
    model = _Model()
    for step in steps:
        _take(step, store, run, ids, model)
    holds = {item: content(review) for item, review in store.reviews.of(ids).items()}
    assert holds == {ids[item]: {**review, "reviewer": "ann"} for item, review in model.now.items()}
    for item, before in model.before.items():
        history = [content(review) for review in store.reviews.history(ids[item])]
        assert history == [{**review, "reviewer": "ann"} for review, _ in before]


def _take(step: _Step, store: Store, run: Run, ids: list[ItemId], model: _Model) -> None:
    what, items, parts, action = step
    chosen = [ids[item] for item in sorted(items)]
    if what == "change":
        changed = said(store, run, chosen, action, **parts)
        assert changed == [ids[item] for item in model.change(items, parts, action)]
    elif what == "undo":
        assert store.reviews.undo(run.id, action) == [ids[item] for item in model.undo(action)]
    else:
        store.ledger.reopen(run.id, Choice(items=tuple(chosen)))
        anew = store.ledger.chosen(chosen)
        store.results.commit([Outcome(an_outcome(one).result, requeues=one.requeues) for one in anew])
        model.requeue(items)
