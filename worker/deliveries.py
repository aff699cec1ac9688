"""Delivery: one message that this worker holds."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from pydantic import JsonValue

    from worker.leases.keeper import LeaseKeeper

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as Celery hands it over.

    Attributes:
        tag: the delivery tag, by which the keeper knows the message.
        task_id: Celery's id.
        arguments: of the task.
        count: how many deliveries of the message count, this one included.
        history: the workers that died while they had the message, a few words each.
        seconds: time limit for images and engine together; None for no limit.
        keeper: holds the lease.
        on_success: tells Celery that the item is answered.
        on_timeout: tells Celery that the time limit ended the item.
        accepted: when the pool took it, by `time.monotonic()`.
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

    def count_trial(self) -> Future[None]:
        """Count this delivery as a trial, which begins now; done when Redis has counted it."""
        return self.keeper.count(self.tag)

    def suspect(self) -> None:
        """Count this delivery as a failed one if the message goes back to the queue: the engine may die of it."""
        self.keeper.suspect(self.tag)

    def acknowledge(self, *, timed_out: bool = False) -> None:
        """Take the message out of the queue for good; call once, after the commit, from any thread.

        Args:
            timed_out: whether Celery hears that the time limit ended the item.
        """
        # First, and not through Celery, whose connection may be another one by now, or gone.
        self.keeper.settle(self.tag)
        try:
            if timed_out:
                self.on_timeout(False, self.seconds)
            else:
                self.on_success((False, None, time.monotonic() - self.accepted))
        except Exception:
            logger.exception("task %s is committed, Celery failed to acknowledge it", self.task_id)
