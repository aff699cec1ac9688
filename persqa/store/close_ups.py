"""CloseUps: what is stored of single items, for people who look at them one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from persqa.close_ups import CloseUp, GenerationRow, Sibling, Tile
from persqa.generations import FinishReason
from persqa.items import MAX_ITEMS, ItemId
from persqa.policies import Rung
from persqa.results import Status
from persqa.store.database import Database
from persqa.store.schema import items, items_and_results, results, violations
from persqa.tags import Tag
from persqa.verdicts import parse_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.runs import RunId

#: Characters of an answer on a tile, and of a question beside one.
_TILE_CHARACTERS = 600
#: Most rows of a list beside an item.
_MOST = 60


class CloseUps:
    """Reads only, and only some items at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tiles(self, run_id: RunId, item_ids: Sequence[ItemId]) -> list[Tile]:
        """What a grid shows of these items, in their order; numbers that the run does not have are left out."""
        query = sa.select(*_TILE_COLUMNS).select_from(items_and_results)
        query = query.where(items.c.id.in_(item_ids), items.c.run_id == run_id)
        with self._database.reading() as connection:
            found = {row.item_id: _tile(row) for row in connection.execute(query)}
        return [found[item_id] for item_id in item_ids if item_id in found]

    def of(self, run_id: RunId, item_id: ItemId) -> CloseUp | None:
        """Everything that is stored of one item; None where the run has no such item."""
        query = sa.select(*_CLOSE_UP_COLUMNS).select_from(items_and_results)
        query = query.where(items.c.id == item_id, items.c.run_id == run_id)
        broken = sa.select(violations).where(violations.c.item_id == item_id).order_by(violations.c.id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            generations = [_generation(dict(found)) for found in connection.execute(broken).mappings()]
        return _close_up(dict(row), tuple(generations))

    def same_record(self, run_id: RunId, item_id: ItemId, questions: int) -> list[Sibling]:
        """The items of the same record, in order, without this one.

        Args:
            run_id: the run.
            item_id: the item.
            questions: of each record; items of one record have numbers one after the other.
        """
        first = item_id - (item_id % MAX_ITEMS) % questions
        query = sa.select(*_SIBLING_COLUMNS).select_from(items_and_results)
        query = query.where(items.c.id.between(first, first + questions - 1), items.c.run_id == run_id)
        return self._siblings(query.where(items.c.id != item_id))

    def same_images(self, run_id: RunId, item_id: ItemId, images: Sequence[str]) -> list[Sibling]:
        """The first items of other records with one of these images; the time grows with the run."""
        this = items.alias()
        own = sa.select(this.c.position).where(this.c.id == item_id).scalar_subquery()
        query = sa.select(*_SIBLING_COLUMNS).select_from(items_and_results)
        query = query.where(items.c.id.between(run_id * MAX_ITEMS, (run_id + 1) * MAX_ITEMS - 1))
        # As they stand in the list of another item.
        written = [items.c.images.contains(json.dumps(image), autoescape=True) for image in images]
        return self._siblings(query.where(sa.or_(*written), items.c.position != own))

    def _siblings(self, query: sa.Select[*tuple[Any, ...]]) -> list[Sibling]:
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(items.c.id).limit(_MOST)).mappings()
            return [_sibling(dict(row)) for row in found]


_TILE_COLUMNS = (
    items.c.id.label("item_id"),
    *(items.c[name] for name in ("images", "tag", "question")),
    *(results.c[name] for name in ("status", "reason", "forced", "finished_at")),
    sa.func.substr(results.c.answer, 1, _TILE_CHARACTERS).label("answer"),
    sa.func.length(results.c.answer).label("characters"),
    sa.func.substr(results.c.detail, 1, _TILE_CHARACTERS).label("detail"),
)
_SIBLING_COLUMNS = (
    items.c.id.label("item_id"),
    items.c.position,
    *(items.c[name] for name in ("tag", "question")),
    results.c.status,
    sa.func.substr(results.c.answer, 1, _TILE_CHARACTERS).label("answer"),
)
_CLOSE_UP_COLUMNS = (
    items.c.id.label("item_id"),
    *(column for column in items.c if column.name not in ("id", "run_id")),
    *(column for column in results.c if column.name not in ("item_id", "run_id")),
)


def _tile(row: sa.Row[*tuple[Any, ...]]) -> Tile:
    return Tile(
        item_id=ItemId(row.item_id),
        images=len(json.loads(row.images)),
        tag=Tag(row.tag),
        question=row.question,
        status=_status(row.status),
        reason=row.reason,
        detail=row.detail,
        answer=row.answer,
        is_whole=(row.characters or 0) <= _TILE_CHARACTERS,
        forced=bool(row.forced),
        finished_at=row.finished_at,
    )


def _sibling(row: dict[str, Any]) -> Sibling:
    read: dict[str, Any] = {"status": _status(row["status"]), "item_id": ItemId(row["item_id"])}
    return Sibling(**row | read)


def _generation(row: dict[str, Any]) -> GenerationRow:
    return GenerationRow(
        rung=Rung(row["rung"]),
        kind=parse_kind(row["kind"]),
        finish_reason=FinishReason(row["finish_reason"]),
        **{name: row[name] for name in ("text", "seed", "prompt_tokens", "output_tokens", "worker", "model")},
        created_at=row["created_at"],
    )


def _close_up(row: dict[str, Any], broken: tuple[GenerationRow, ...]) -> CloseUp:
    read: dict[str, Any] = {
        "item_id": ItemId(row["item_id"]),
        "images": tuple(json.loads(row["images"])),
        "status": _status(row["status"]),
        "rung": None if row["rung"] is None else Rung(row["rung"]),
        "finish_reason": None if row["finish_reason"] is None else FinishReason(row["finish_reason"]),
        "forced": bool(row["forced"]),
        "broken": broken,
    }
    return CloseUp(**row | read)


def _status(stored: str | None) -> Status | None:
    return None if stored is None else Status(stored)
