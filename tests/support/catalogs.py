"""Catalogs that are followed step by step, and a plain model of what they work out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from persqa.items import MAX_ITEMS, ItemId
from persqa.pairs import PENDING
from persqa.runs import Run, RunId
from persqa.store.catalog_rows import CatalogRow
from producer.web.catalog import Facet, Order, View

if TYPE_CHECKING:
    from persqa.reviews import GivenReview
    from persqa.store import Store
    from producer.web.catalog import Catalog

#: The id of the first item of the run of `a_run`.
BASE = RunId(1) * MAX_ITEMS


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every bound be met by a run of some hundred items."""
    for name, value in (("_CHUNK", 50), ("_MOST_CHANGED", 70), ("_SWEPT", 64), ("_SLICE", 16), ("_MOST_SLICES", 2)):
        monkeypatch.setattr(f"producer.web.catalog.upkeep.{name}", value)
    monkeypatch.setattr("producer.web.catalog.late_flags._SWEPT", 64)
    monkeypatch.setattr("producer.web.catalog.late_flags._MOST", 16)
    monkeypatch.setattr("producer.web.catalog.search._AT_ONCE", 64)
    monkeypatch.setattr("producer.web.catalog.search._AGAIN_AT_ONCE", 10)


def settled(catalog: Catalog) -> Catalog:
    """The catalog when it knows all; how often it has to look is bounded."""
    upkeep = catalog.upkeep
    while not upkeep.is_loaded:
        upkeep.load()
    for _ in range(60):
        upkeep.refresh()
        if upkeep.is_settled:
            return catalog
    raise AssertionError("it goes on looking, and never finds what it has missed")


def review(store: Store, run: Run, items: list[ItemId], action: str = "a", **given: object) -> None:
    said: GivenReview = given  # pyrefly: ignore[bad-assignment]
    assert store.reviews.change(run.id, items, said, reviewer="me", action=action) == items


def a_row(index: int, status: str | None, **more: Any) -> CatalogRow:
    """An item as it is read; what a pending one cannot have is taken away."""
    fields: dict[str, Any] = {
        "item_id": BASE + index,
        "status": status,
        "reason": None,
        "topic": "attire",
        "question": "Is it {tag}?",
        "model": "m",
        "rung": "free",
        "forced": False,
        "tag": "<mam>",
        "worker": "w",
        "answer": None,
        "answer_length": None,
        "image_seconds": None,
        "engine_seconds": None,
        "finished": 1.0,
        "decision": None,
        "edited": False,
        "starred": None,
        "reviewed": False,
        "images": '["a.jpg"]',
    } | more
    if status is None:
        ended = ("reason", "model", "rung", "forced", "worker", "answer", "answer_length", "finished", "decision")
        fields |= dict.fromkeys((*ended, "image_seconds", "engine_seconds", "starred"))
        fields |= {"edited": False, "reviewed": False}
    return CatalogRow(**fields)


class Model:
    """The same, as one would write it without thinking of time."""

    def __init__(self, rows: list[CatalogRow], kinds: list[tuple[int, str]]) -> None:
        self.rows = {row.item_id: row for row in rows}
        self.kinds = {row.item_id: {kind for item, kind in kinds if item == row.item_id} for row in rows}

    def values(self, row: CatalogRow, facet: Facet) -> set[str]:
        match facet:
            case Facet.KIND:
                return self.kinds[row.item_id]
            case Facet.FLAG:
                return set()
            case Facet.STATUS:
                return {row.status or PENDING}
            case Facet.FORCED:
                return set() if row.forced is None else {"yes" if row.forced else "no"}
            case Facet.REVIEW:
                said = {row.decision, "edited" if row.edited else None, "starred" if row.starred else None} - {None}
                return {str(one) for one in said} | (set() if row.decision or row.edited else {"none"})
            case _:
                value: str | None = getattr(row, facet.value)
                return {value} if value else set()

    def has(self, view: View, row: CatalogRow, *, but: Facet | None = None) -> bool:
        return all(
            facet is but
            or (
                (facet not in view.keep or bool(self.values(row, facet) & set(view.keep[facet])))
                and not self.values(row, facet) & set(view.leave_out.get(facet, ()))
            )
            for facet in Facet
        )

    def key(self, order: Order, item: int) -> tuple[float, int]:
        row = self.rows[item]
        took = None
        if row.image_seconds is not None or row.engine_seconds is not None:
            took = (row.image_seconds or 0) + (row.engine_seconds or 0)
        by: dict[Order, float | None] = {
            Order.INPUT: 0,
            Order.NEWEST: None if row.finished is None else -row.finished,
            Order.LONGEST: None if row.answer_length is None else -row.answer_length,
            Order.SHORTEST: row.answer_length,
            Order.SLOWEST: None if took is None else -took,
            Order.FASTEST: took,
        }
        found = by[order]
        return math.inf if found is None else found, item

    def items(self, view: View) -> list[int]:
        chosen = [item for item, row in self.rows.items() if self.has(view, row)]
        return sorted(chosen, key=lambda item: self.key(view.order, item))
