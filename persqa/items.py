"""Item: one record with one question; the unit of all work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from persqa.runs import RunId
from persqa.tags import Tag

#: Primary key of `items`; made of the run's id and the item's place, so adding an item twice changes nothing.
ItemId = NewType("ItemId", int)

#: Most items of a run. A power of ten keeps the ids readable: item 42 of run 3 is 30000000042.
MAX_ITEMS = 10**10


def item_id(run_id: RunId, index: int) -> ItemId:
    """The id of a run's item, by its index: position of its record times questions per image, plus the slot."""
    if not 0 <= index < MAX_ITEMS:
        raise ValueError(f"item index {index} is not below {MAX_ITEMS}")
    return ItemId(run_id * MAX_ITEMS + index)


def index_of(item: int) -> int:
    """The index of an item in its run, of which its id was made."""
    return item % MAX_ITEMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row of `items`, the ledger.

    Attributes:
        position: place of the record in the input, from 0.
        slot: number of the question among those of the record, from 0.
        record: the record as given, as ASCII JSON; empty in items of `Ledger.pending`.
        images: the image references that a worker gets: as given, or of the blob store where the data has the bytes
            themselves; empty if the record is invalid.
        tag: the tag asked for; empty if the record is invalid or its own prompt is asked.
        topic: the subject of the question, to group by.
        question: the question with the tag in place; empty if the record is invalid.
        requeues: how often a person enqueued it again.
    """

    id: ItemId
    run_id: RunId
    position: int
    slot: int
    record: str
    images: tuple[str, ...]
    tag: Tag
    topic: str
    question: str
    requeues: int = 0
