"""Pairs as they are read: items with their results, reviews and flags."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import sqlalchemy as sa

from persqa.pairs import PENDING, PairRow
from persqa.policies import Rung
from persqa.records import record_id, stored_record
from persqa.results import Status
from persqa.reviews import Decision, Wanted
from persqa.store.evidence import flags
from persqa.store.flags import findings_of_items
from persqa.store.reviews import are
from persqa.store.schema import asks, has_no_result, items, items_and_results, results, reviews

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.items import ItemId
    from persqa.pairs import Flagged
    from persqa.runs import Run

#: Turns rows into dictionaries, and may read more about them in the same transaction.
Read: TypeAlias = "Callable[[sa.Connection, Sequence[sa.RowMapping]], list[dict[str, Any]]]"

Row = TypeVar("Row", bound=PairRow)

PAIR_COLUMNS = (
    items.c.id.label("item_id"),
    *(items.c[name] for name in ("position", "slot", "record", "images", "tag", "topic", "question")),
    *(results.c[name] for name in ("status", "reason", "detail", "answer", "rung", "forced", "generations")),
    *(results.c[name] for name in ("prompt_tokens", "output_tokens", "worker", "model", "finished_at")),
    *(results.c[name] for name in ("logprob_mean", "logprob_min", "logprob_min_token")),
    reviews.c.decision.label("review"),
    reviews.c.answer.label("edited_answer"),
    sa.func.coalesce(reviews.c.starred, sa.false()).label("starred"),
    sa.func.coalesce(reviews.c.note, "").label("note"),
    reviews.c.reviewer,
)
PAIRS = (
    sa.select(*PAIR_COLUMNS)
    .select_from(items_and_results.outerjoin(reviews, reviews.c.item_id == items.c.id))
    .order_by(items.c.id)
)


def as_they_are(_connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> list[dict[str, Any]]:
    """The rows, and nothing more."""
    return list(map(dict, rows))


def with_flags(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> list[dict[str, Any]]:
    """The rows of `PAIRS`, each with the flags of its item."""
    found = findings_of_items(connection, sorted(row["item_id"] for row in rows))
    return [dict(row, flags=found.get(row["item_id"], ())) for row in rows]


def chosen_by(
    *,
    status: str | None = None,
    question: str | None = None,
    item: ItemId | None = None,
    review: Wanted | None = None,
    flagged: Flagged | None = None,
) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for rows of `PAIRS`; see `Queries.pairs`."""
    if status is not None:
        yield has_no_result if status == PENDING else results.c.status == status
    if question is not None:
        yield asks(question)
    if item is not None:
        yield items.c.id == item
    if review is not None:
        yield are(review)
    if flagged is not None:
        yield from are_flagged(flagged)


def are_flagged(flagged: Flagged) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for items that have flags, or have none, as this says."""
    if flagged.with_any:
        yield sa.exists().where(flags.c.item_id == items.c.id, flags.c.flag.in_(flagged.with_any))
    if flagged.without:
        yield ~sa.exists().where(flags.c.item_id == items.c.id, flags.c.flag.in_(flagged.without))


def pair_row(row: dict[str, Any], run: Run, kind: type[Row] = PairRow) -> Row:
    """A row that `with_flags` has read."""
    record = stored_record(row["record"])
    read: dict[str, Any] = {
        "record": record,
        "image": ", ".join(json.loads(row.pop("images"))),
        "status": PENDING if row["status"] is None else Status(row["status"]),
        "rung": None if row["rung"] is None else Rung(row["rung"]),
        "record_id": record_id(record, run.options.id_column),
        "review": None if row["review"] is None else Decision(row["review"]),
    }
    return kind(**row | read)
