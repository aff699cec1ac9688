"""Delivery: one message in this worker's hand."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from persqa.messages import VERSION, ItemMessage
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from worker.leases.keeper import LeaseKeeper

logger = logging.getLogger(__name__)


class UnreadableDelivery(Exception):
    """The message is not one of ours; nothing in it can be answered.

    Attributes:
        reason: why not, in one word.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as Celery hands it over.

    Attributes:
        tag: what the keeper knows it by.
        task_id: Celery's id of it.
        arguments: of the task.
        count: which delivery of it this is, of those that count.
        history: of one under suspicion, who had it before and did not live to say how it ended.
        seconds: how long images and engine may take; None for as long as they like.
        keeper: holds its lease.
        on_success: Celery's, told when it is answered.
        on_timeout: Celery's, told when the time limit has ended it.
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
            UnreadableDelivery: it carries none, or one of a version this worker does not know.
        """
        if len(self.arguments) != 1:
            said = f"it is not an item: a task of ours has one argument, this one {len(self.arguments)}"
            raise UnreadableDelivery(Reason.UNREADABLE_MESSAGE, said)
        content = self.arguments[0]
        version = content.get("v") if isinstance(content, dict) else None
        if version != VERSION:
            said = f"it is an item of version {version}, and this worker knows version {VERSION}"
            raise UnreadableDelivery(Reason.UNKNOWN_VERSION, said)
        try:
            return ItemMessage.model_validate(content)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
            raise UnreadableDelivery(Reason.UNREADABLE_MESSAGE, f"it is not an item: {wrong}") from error

    def acknowledge(self) -> None:
        """Take the message out of the queue for good; call once, after the commit, from any thread."""
        self._end(lambda: self.on_success((False, None, time.monotonic() - self.accepted)))

    def time_out(self) -> None:
        """Do the same, and tell Celery that the time limit ended it."""
        self._end(lambda: self.on_timeout(False, self.seconds))

    def count_trial(self) -> Future[None]:
        """Count this delivery of a message under suspicion, which is tried now; done once Redis knows."""
        return self.keeper.count(self.tag)

    def suspect(self) -> None:
        """It may be what the engine dies of; should it go back to the queue, this delivery counts."""
        self.keeper.suspect(self.tag)

    def _end(self, tell_celery: Callable[[], object]) -> None:
        # First of all, and not by way of Celery, whose connection may be another one by now, or none.
        self.keeper.settle(self.tag)
        try:
            tell_celery()
        except Exception:
            logger.exception("task %s is committed, Celery failed to acknowledge it", self.task_id)
