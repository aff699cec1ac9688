"""DeadLetter: a message that nobody will answer, and why; kept so that nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from persqa.clock import now
from persqa.items import ItemId
from persqa.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One row of `dead_letters`.

    Attributes:
        reason: what is wrong with it.
        detail: a sentence about that.
        queue: where it was found, if known.
        task_id: Celery's id of it, if it has one.
        item_id: the item it was about, if that can be read.
        text: the message, as far as it is worth keeping.
        worker: who found it.
    """

    reason: Reason
    detail: str
    queue: str | None
    task_id: str | None
    item_id: ItemId | None
    text: str
    worker: str
    created_at: datetime = field(default_factory=now)
