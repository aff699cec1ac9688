"""DeadLetter: a message that cannot be answered, kept with the reason."""

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
        detail: a sentence about the reason.
        queue: where it was found, if known.
        task_id: Celery's id, if it has one.
        item_id: its item, if that can be read.
        text: the beginning of the message.
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
