"""Committer: stores the outcomes of many items in one transaction, before their messages are acknowledged."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.errors import RowRefused
from persqa.reasons import Reason
from persqa.results import Outcome
from worker.process import metrics
from worker.process.batching import Batcher
from worker.process.retries import retry_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from persqa.settings import Settings
    from persqa.store.results import Results

logger = logging.getLogger(__name__)


class Committer:
    """Gathers outcomes and commits them together in a thread of its own, until `stop` is set."""

    def __init__(
        self, results: Results, settings: Settings, *, stop: Event, in_flight: Callable[[], int] | None = None
    ) -> None:
        """Prepare; `in_flight` says how many outcomes may still come, those that wait included."""
        self._results = results
        self._stop = stop
        self._batcher: Batcher[Outcome, None] = Batcher(
            self._commit,
            name="persqa-commit",
            size=settings.commit_items,
            seconds=settings.commit_seconds,
            in_flight=in_flight,
        )

    async def commit(self, outcome: Outcome) -> None:
        """Store one outcome; it is on disk when this returns.

        Raises:
            StoreUnavailable: it is not on disk, and the worker is stopping; do not acknowledge.
        """
        await self._batcher.submit(outcome)

    def close(self) -> None:
        """End the thread after the current transaction."""
        self._batcher.close()

    def _commit(self, outcomes: Sequence[Outcome]) -> list[None]:
        try:
            self._store(outcomes)
        except RowRefused as refused:
            self._isolate(outcomes, refused)
        return [None] * len(outcomes)

    def _store(self, outcomes: Sequence[Outcome]) -> None:
        with metrics.COMMIT.time():
            stored = retry_database(lambda: self._results.commit(outcomes), stop=self._stop)
        metrics.count_stored(outcome for outcome in outcomes if outcome.result.item_id in stored)

    def _isolate(self, outcomes: Sequence[Outcome], refused: RowRefused) -> None:
        """Halve the outcomes until the refused one is alone, because one bad row fails the whole transaction."""
        if len(outcomes) > 1:
            middle = len(outcomes) // 2
            self._commit(outcomes[:middle])
            self._commit(outcomes[middle:])
            return
        result = outcomes[0].result
        about = {"run": result.run_id, "item": result.item_id}
        logger.error("item %d: its result cannot be stored, it ends as dead: %s", result.item_id, refused, extra=about)
        by = {"worker": result.worker, "model": result.model}
        try:
            dead = Outcome.dead(result.item_id, result.run_id, Reason.UNSTORABLE, str(refused), **by)
            self._store([replace(dead, requeues=outcomes[0].requeues)])
        except RowRefused as again:
            # The message belongs to another database, and nobody here waits for its item.
            said = "item %d is not in the ledger, its message is dropped: %s"
            logger.error(said, result.item_id, again, extra=about)
