"""Item: one record with one question; the unit that is queued, generated, judged and stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from persqa.runs import RunId
from persqa.tags import Tag

#: Primary key of `items`; made of the run's id and the item's place, so loading a ledger twice changes nothing.
ItemId = NewType("ItemId", int)

#: Items a run may have. A power of ten keeps the ids readable: item 42 of run 3 is 30000000042.
MAX_ITEMS = 10**10


def item_id(run_id: RunId, index: int) -> ItemId:
    """The id of a run's item; ids grow in the input's order.

    Args:
        run_id: the run.
        index: the item's place in the run: position of its record times questions per image, plus the slot.
    """
    if not 0 <= index < MAX_ITEMS:
        raise ValueError(f"item index {index} is not below {MAX_ITEMS}")
    return ItemId(run_id * MAX_ITEMS + index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row of `items`, the ledger.

    Attributes:
        position: place of the record in the input, from 0.
        slot: which of the record's questions this is, from 0.
        record: the record as given, as ASCII JSON; empty in items that `Ledger.pending` gives.
        images: the image references as a worker gets them: as given, but for image bytes, which are in the blob
            store by then; empty where the record is invalid.
        tag: the tag asked for; empty where the record is invalid or its own prompt is asked.
        topic: what the question is about, to group by.
        question: the question as asked, tag in place; empty where the record is invalid.
        requeues: how often a person or the reconciler enqueued it again.
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
