"""DeadLetters: stores a message that no worker can answer, before it is taken out of the queue."""

from __future__ import annotations

import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

from persqa.dead_letters import DeadLetter
from persqa.messages import item_of
from persqa.reasons import Reason
from persqa.results import Outcome
from persqa.store import Want
from worker.parsing import DeadMessage, parse_item
from worker.process import metrics
from worker.process.retries import retry_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import JsonValue

    from persqa.messages import Asked
    from persqa.store import Store

logger = logging.getLogger(__name__)


class DeadLetters:
    """Writes dead letters in a thread of its own; may be called from any thread."""

    def __init__(self, store: Store, *, worker: str) -> None:
        self._store = store
        self._worker = worker
        self._stop = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="persqa-dead-letters")

    def bury(
        self,
        dead: DeadMessage,
        *,
        text: str,
        queue: str | None = None,
        task_id: str | None = None,
        item: Asked | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> Future[None]:
        """Store a message, and with it the end of its item; done when on disk, or failed with `StoreUnavailable`.

        Args:
            dead: what is wrong with the message.
            text: the message.
            queue: where it was found.
            task_id: Celery's id.
            item: the item that ends as `dead` with it; None if the ledger makes a new message of the item.
            then: called in the thread when the letter is on disk; takes the message out of the queue.
        """
        about = {"run": item.run, "item": item.item} if item else {}
        logger.error("message %s is a dead letter: %s", task_id or "without an id", dead, extra=about)
        metrics.DEAD_LETTERS.labels(dead.reason).inc()
        letter = DeadLetter(
            reason=dead.reason,
            detail=str(dead),
            queue=queue,
            task_id=task_id,
            item_id=item.item if item else item_of(task_id, self._store.ledger.id),
            text=text,
            worker=self._worker,
        )
        return self._thread.submit(self._write, letter, item, then)

    def bury_revoked(self, arguments: Sequence[JsonValue], *, task_id: str, expired: bool) -> Future[None]:
        """Store a task that Celery drops, and the end of its item, as `bury` does.

        Args:
            arguments: of the task.
            task_id: Celery's id.
            expired: whether the task has expired; otherwise it was revoked.
        """
        reason, detail = (Reason.EXPIRED, "its message expired") if expired else (Reason.REVOKED, "it was revoked")
        try:
            message = parse_item(arguments)
        except DeadMessage:
            item = None
        else:
            item = message.asked
        return self.bury(DeadMessage(reason, detail), text=json.dumps(arguments), task_id=task_id, item=item)

    def close(self) -> None:
        """End the thread; messages that are not stored stay in the queue."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _write(self, letter: DeadLetter, item: Asked | None, then: Callable[[], None]) -> None:
        try:
            if item is not None and self._knows(item):
                outcome = Outcome.dead(item.item, item.run, letter.reason, letter.detail, worker=self._worker)
                if retry_database(lambda: self._store.results.commit([outcome]), stop=self._stop):
                    metrics.count_stored([outcome])
            retry_database(lambda: self._store.dead_letters.add(letter), stop=self._stop)
        except Exception:
            logger.exception("a dead letter could not be written, its message stays in the queue")
            raise
        then()

    def _knows(self, item: Asked) -> bool:
        """Whether this database has the item's run."""
        (want,) = retry_database(lambda: self._store.results.wanted([item]), stop=self._stop)
        return want is not Want.UNKNOWN
