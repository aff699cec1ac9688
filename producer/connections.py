"""Connections: the database and the broker that a client and its runs share, and the fleet it brought with it."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from persqa.broker.depth import Inspector
from persqa.controls import refuse_stopped
from persqa.settings import Settings, require_broker
from persqa.store import Store
from producer.local_fleet import LocalFleet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from persqa.runs import Run


class Connections:
    """One database and one broker; without a broker, a fleet on this machine is started once one is needed."""

    def __init__(self, settings: Settings, *, local_worker: bool) -> None:
        """Open the database.

        Args:
            settings: the database and, where there is one, the broker.
            local_worker: whether to start a worker on this machine, and a broker if none is named.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        self.settings = settings
        self.store = Store.open(settings.database_url)
        #: The broker and worker that were started here, if they were.
        self.fleet: LocalFleet | None = None
        self._local = local_worker
        self._stack = ExitStack()
        self._stack.callback(self.store.close)
        self._looked_at = time.monotonic()

    def close(self) -> None:
        """Stop what was started here, and close the database."""
        self._stack.close()
        self.fleet = None

    @property
    def broker_url(self) -> str | None:
        """The broker's URL, if there is a broker by now."""
        return self.fleet.settings.broker_url if self.fleet else self.settings.broker_url

    def need_broker(self) -> str:
        """The broker's URL; the fleet on this machine is started first where there is to be one.

        Raises:
            SettingsError: no broker is named, and there is to be no fleet.
        """
        if self._local and self.fleet is None:
            self.fleet = self._stack.enter_context(LocalFleet(self.settings))
            self.fleet.start_worker()
        return require_broker(self.fleet.settings if self.fleet else self.settings)

    def check(self) -> None:
        """Make sure that the fleet that was started here lives.

        Raises:
            SettingsError: its engine cannot be started; the message is the engine's own sentence.
            WorkerDied: it does not.
        """
        if self.fleet is not None:
            self.fleet.check()

    @contextmanager
    def inspector(self) -> Generator[Inspector | None]:
        """Looks into the broker's queues; None where there is no broker."""
        if (url := self.broker_url) is None:
            yield None
            return
        with closing(Inspector(url)) as inspector:
            yield inspector

    def enqueue(self, run: Run, *, on_full: Callable[[], None]) -> int:
        """Enqueue what is pending in the ledger and not in the queue; returns how many items.

        Args:
            run: the run.
            on_full: called again and again while the queue is full.

        Raises:
            RunStopped: the run is paused or cancelled, or was meanwhile.
            SettingsError: no broker is named, or the engine of the worker that was started here cannot be started.
            BrokerUnavailable: not all is enqueued; call again.
            WorkerDied: the queue is full, and the worker that was started here has ended.
        """

        def wait_for_room() -> None:
            self.check()
            on_full()

        if self.store.queries.progress(run.id).pending == 0:
            return 0
        refuse_stopped(self.store.runs.reread(run))
        # Celery is loaded here and not at import: looking at results must not take seconds.
        from persqa.broker.publisher import Publisher
        from persqa.enqueueing import enqueue_pending

        url = self.need_broker()
        with (
            closing(Publisher(url, queue_bound=self.settings.queue_bound)) as publisher,
            closing(Inspector(url)) as inspector,
        ):
            return enqueue_pending(self.store, publisher, inspector, run, on_full=wait_for_room)

    def reconcile(self) -> int:
        """Enqueue again what the queue has lost; looks seldom, however often it is called, and where there is a broker.

        Raises:
            StoreUnavailable: the database does not answer.
            BrokerUnavailable: Redis does not answer.
        """
        from persqa.reconciler import Reconciler

        url = self.broker_url
        if url is None or time.monotonic() - self._looked_at < self.settings.reconcile_seconds:
            return 0
        self._looked_at = time.monotonic()
        return Reconciler(self.store, self.settings.model_copy(update={"broker_url": url})).reconcile()
