"""DeadLetters: a message that cannot be answered is written down before it is taken out of the queue."""

from __future__ import annotations

import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

from persqa.dead_letters import DeadLetter
from persqa.reasons import Reason
from persqa.results import Outcome
from worker import metrics
from worker.parsing import DeadMessage, parse_item
from worker.retries import retry_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import JsonValue

    from persqa.items import ItemId
    from persqa.runs import RunId
    from persqa.store import Store

logger = logging.getLogger(__name__)


class DeadLetters:
    """Writes in a thread of its own, so that it can be called from any other."""

    def __init__(self, store: Store, *, worker: str) -> None:
        """Prepare.

        Args:
            store: where to.
            worker: this worker's name, stored with every letter.
        """
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
        item: tuple[RunId, ItemId] | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> Future[None]:
        """Write a message down, and with it the end of its item.

        Args:
            dead: what is wrong with it.
            text: the message.
            queue: where it was found.
            task_id: Celery's id.
            item: the item that ends as dead with it; none where its message is to be built anew from the ledger.
            then: takes the message out of the queue; called in the thread, once the letter is on disk.

        Returns:
            Done when the letter is on disk, or failed with `StoreUnavailable`.
        """
        about = {"run": item[0], "item": item[1]} if item else {}
        logger.error("message %s is a dead letter: %s", task_id or "without an id", dead, extra=about)
        metrics.DEAD_LETTERS.labels(dead.reason).inc()
        letter = DeadLetter(
            reason=dead.reason,
            detail=str(dead),
            queue=queue,
            task_id=task_id,
            item_id=item[1] if item else None,
            text=text,
            worker=self._worker,
        )
        return self._thread.submit(self._write, letter, item, then)

    def bury_revoked(self, arguments: Sequence[JsonValue], *, task_id: str, expired: bool) -> Future[None]:
        """Celery drops a task that it has revoked or found expired: its item ends with it.

        Args:
            arguments: of the task.
            task_id: Celery's id.
            expired: whether it has expired, and is not revoked.

        Returns:
            The same as `bury`.
        """
        reason, detail = (Reason.EXPIRED, "its message expired") if expired else (Reason.REVOKED, "it was revoked")
        try:
            message = parse_item(arguments)
        except DeadMessage:
            item = None
        else:
            item = message.run, message.item
        return self.bury(DeadMessage(reason, detail), text=json.dumps(arguments), task_id=task_id, item=item)

    def close(self) -> None:
        """End the thread; what is not written stays in the queue."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _write(self, letter: DeadLetter, item: tuple[RunId, ItemId] | None, then: Callable[[], None]) -> None:
        try:
            if item is not None:
                run_id, item_id = item
                outcome = Outcome.dead(item_id, run_id, letter.reason, letter.detail, worker=self._worker)
                if retry_database(lambda: self._store.results.commit([outcome]), stop=self._stop):
                    metrics.count_stored([outcome])
            retry_database(lambda: self._store.dead_letters.add(letter), stop=self._stop)
        except Exception:
            logger.exception("a dead letter could not be written, its message stays in the queue")
            raise
        then()
