"""DeadLetters: what cannot be answered is written down before it is taken out of the queue."""

from __future__ import annotations

import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue, ValidationError

from persqa.dead_letters import DeadLetter
from persqa.items import ItemId
from persqa.messages import ItemMessage
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status
from persqa.runs import RunId
from persqa.settings import load_settings
from persqa.store import Store
from worker import metrics
from worker.outages import retrying
from worker.process.identity import worker_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.app.task import Context

logger = logging.getLogger(__name__)


class DeadLetters:
    """Writes in a thread of its own, so it can be told from any other; seldom used, so it opens what it needs then."""

    def __init__(self, database_url: str, *, worker: str) -> None:
        self._database_url = database_url
        self._worker = worker
        self._stop = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="persqa-dead-letters")
        self._store: Store | None = None

    def bury(  # noqa: PLR0913 - what there is to know of a message
        self,
        reason: Reason,
        detail: str,
        *,
        text: str,
        queue: str | None = None,
        task_id: str | None = None,
        item: tuple[RunId, ItemId] | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> Future[None]:
        """Write one down, and with it the end of its item.

        Args:
            reason: what is wrong.
            detail: a sentence about it.
            text: the message.
            queue: where it was found.
            task_id: Celery's id.
            item: which item ends as dead with it; none where its message is to be built anew from the ledger.
            then: called, in the thread, once it is on disk; takes the message out of the queue.

        Returns:
            Done when it is on disk, or failed with `StoreUnavailable`.
        """
        about = {"run": item[0], "item": item[1]} if item else {}
        logger.error("message %s is a dead letter: %s", task_id or "without an id", detail, extra=about)
        metrics.DEAD_LETTERS.labels(reason).inc()
        letter = DeadLetter(
            reason=reason,
            detail=detail,
            queue=queue,
            task_id=task_id,
            item_id=item[1] if item else None,
            text=text,
            worker=self._worker,
        )
        return self._thread.submit(self._write, letter, item, then)

    def close(self) -> None:
        """End the thread; what is not written stays in the queue."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    def _write(self, letter: DeadLetter, item: tuple[RunId, ItemId] | None, then: Callable[[], None]) -> None:
        try:
            store = self._store = self._store or retrying(lambda: Store.open(self._database_url), stop=self._stop)
            if item is not None:
                run_id, item_id = item
                dead = Result(
                    item_id=item_id, run_id=run_id, status=Status.DEAD, reason=letter.reason, detail=letter.detail,
                    worker=self._worker,
                )  # fmt: skip
                if retrying(lambda: store.results.commit([Outcome(dead)]), stop=self._stop):
                    metrics.count_stored([Outcome(dead)])
            retrying(lambda: store.dead_letters.add(letter), stop=self._stop)
        except Exception:
            logger.exception("a dead letter could not be written, its message stays in the queue")
            raise
        then()


def bury_revoked(request: Context, *, expired: bool, **_signal: object) -> None:
    """Celery has revoked a task, or found it expired, and drops it: its item ends here. For `task_revoked`."""
    reason, detail = (Reason.EXPIRED, "its message expired") if expired else (Reason.REVOKED, "it was revoked")
    content = cast("tuple[JsonValue, ...]", request.args)[0]
    try:
        message = ItemMessage.model_validate(content)
    except ValidationError:
        item = None
    else:
        item = RunId(message.run), ItemId(message.item)
    dead_letters().bury(reason, detail, text=json.dumps(content), task_id=str(request.id), item=item)


@cache
def dead_letters() -> DeadLetters:
    """Those of this process."""
    return DeadLetters(load_settings().database_url, worker=worker_name())
