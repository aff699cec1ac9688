"""Runs whose results are reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persqa.reviews import GivenReview, Review
from tests.support.builders import a_stored_run, an_outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from persqa.items import ItemId
    from persqa.runs import Run
    from persqa.store import Store

#: What the model has said of each item.
MODEL_ANSWER = "<mam> wears red."


def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reviews, requeues and deletions take a few items at a time."""
    monkeypatch.setattr("persqa.store.reviews._AT_ONCE", 2)
    monkeypatch.setattr("persqa.store.ledger._REOPENED_AT_ONCE", 3)
    monkeypatch.setattr("persqa.store.deletion._AT_ONCE", 3)
    monkeypatch.setattr("persqa.store.database._GIVE_WAY_SECONDS", 0.0)


def answered(store: Store, items: int, name: str = "r") -> tuple[Run, list[ItemId]]:
    """A run of which every item has an answer."""
    run, batch = a_stored_run(store, items, name)
    store.results.commit([an_outcome(item, answer=MODEL_ANSWER) for item in batch])
    return run, [item.id for item in batch]


def said(store: Store, run: Run, items: Iterable[int], action: str, **given: Any) -> list[ItemId]:
    """What Ann's review has changed."""
    return store.reviews.change(run.id, items, GivenReview(**given), reviewer="ann", action=action)


def content(review: Review) -> dict[str, Any]:
    """A review without its times."""
    names = ("decision", "answer", "starred", "note", "reviewer", "action")
    return {name: getattr(review, name) for name in names}
