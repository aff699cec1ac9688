"""Delivery: one message in this worker's hand."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.parsing import parse_item

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from pydantic import JsonValue

    from persqa.messages import ItemMessage
    from worker.leases.keeper import LeaseKeeper

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as Celery hands it over.

    Attributes:
        tag: its delivery tag, by which the keeper knows it.
        task_id: Celery's id of it.
        arguments: of the task.
        count: which delivery of the message this is, of those that count.
        history: who had a message under suspicion before, and did not live to say how it ended.
        seconds: how long images and engine may take; None for as long as they like.
        keeper: holds its lease.
        on_success: tells Celery that it is answered.
        on_timeout: tells Celery that the time limit ended it.
    """

    tag: str
    task_id: str
    arguments: Sequence[JsonValue]
    count: int
    history: Sequence[str]
    seconds: float | None
    keeper: LeaseKeeper
    on_success: Callable[[tuple[bool, None, float]], object]
    on_timeout: Callable[[bool, float | None], object]
    accepted: float = field(default_factory=time.monotonic)

    def read(self) -> ItemMessage:
        """The item it carries.

        Raises:
            DeadMessage: it carries none, or one of a version this worker does not know.
        """
        return parse_item(self.arguments)

    def count_trial(self) -> Future[None]:
        """Count this delivery of a message under suspicion, as it is tried now; done once Redis knows."""
        return self.keeper.count(self.tag)

    def suspect(self) -> None:
        """The engine may be dying of it: if it goes back to the queue, this delivery counts as one that failed."""
        self.keeper.suspect(self.tag)

    def acknowledge(self, *, timed_out: bool = False) -> None:
        """Take the message out of the queue for good; call once, after the commit, from any thread.

        Args:
            timed_out: whether Celery is to hear that the time limit ended it.
        """
        # First of all and not by way of Celery, whose connection may be another one by now, or gone.
        self.keeper.settle(self.tag)
        try:
            if timed_out:
                self.on_timeout(False, self.seconds)
            else:
                self.on_success((False, None, time.monotonic() - self.accepted))
        except Exception:
            logger.exception("task %s is committed, Celery failed to acknowledge it", self.task_id)
