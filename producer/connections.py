"""Connections: the database, the broker and the local fleet that a client and its runs share.

The libraries of Redis and Celery are loaded when they are needed: whoever looks at results must not wait for them.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from persqa.controls import refuse_stopped
from persqa.errors import Infrastructure, SettingsError
from persqa.libraries import not_installed
from persqa.models import require_engine
from persqa.own_code import own_module
from persqa.required import require_broker
from persqa.settings import Settings
from persqa.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from persqa.broker.depth import Inspector
    from persqa.broker.publisher import Publisher
    from persqa.runs import Run
    from producer.local_fleet import LocalFleet


class Watch(Protocol):
    """What waits, in a thread of its own."""

    def close(self) -> None:
        """Let nobody wait any longer."""


class Connections:
    """One database and one broker; a fleet on this machine starts when it is needed."""

    def __init__(self, settings: Settings, *, local_worker: bool) -> None:
        """Prepare, without connecting; with `local_worker`, a worker on this machine, and a broker if none is named.

        Raises:
            SettingsError: the database URL is wrong, or the worker here would have no engine.
        """
        if local_worker:
            require_engine(settings.engine)
        self.settings = settings
        self.store = Store.look(settings.database_url)
        #: The broker and worker started here, if any.
        self.fleet: LocalFleet | None = None
        #: Whether a worker on this machine answers.
        self.local = local_worker
        #: Those who wait for items here; they end before the database is closed.
        self.watches: WeakSet[Watch] = WeakSet()
        self._gallery: str | None = None
        self._publisher: Publisher | None = None
        self._stack = ExitStack()
        self._stack.callback(self.store.close)
        self._looked_at = time.monotonic()

    def close(self) -> None:
        """Stop what was started here, and close the database."""
        for watch in [*self.watches]:
            watch.close()
        self._stack.close()
        self.fleet = self._publisher = None

    @property
    def broker_url(self) -> str | None:
        """The broker's URL, once there is a broker."""
        return self.fleet.settings.broker_url if self.fleet else self.settings.broker_url

    def need_broker(self, run: Run | None = None) -> str:
        """The broker's URL, after the fleet on this machine is started, for this run, if there is to be one.

        Raises:
            SettingsError: no broker is named, and no fleet wanted; or the worker started here may not read the run's
                images.
        """
        if self.local and self.fleet is None:
            from producer.local_fleet import LocalFleet

            self.fleet = self._stack.enter_context(LocalFleet(self.settings))
        if self.fleet is not None:
            self.fleet.start_worker(None if run is None else Path(run.base))
        return require_broker(self.fleet.settings if self.fleet else self.settings)

    def gallery(self) -> str:
        """The address of the gallery, which is started beside this program the first time, and ends with it.

        Raises:
            SettingsError: its libraries are not installed, or this machine cannot listen.
        """
        if self._gallery is None:
            settings = self.settings.model_copy(update={"broker_url": self.broker_url})
            # Both are above this module, so they are found by name.
            client = own_module("producer.client").Client(settings, local_worker=False)
            self._stack.enter_context(client)
            try:
                server = own_module("producer.web.server").Server(client)
            except ImportError as error:
                said = "the gallery needs libraries that are not installed"
                raise SettingsError(not_installed(said, error, extra="ui")) from error
            self._gallery = str(self._stack.enter_context(server).address)
        return self._gallery

    def check(self) -> None:
        """Check that the fleet started here is alive; raises as `LocalFleet.check`."""
        if self.fleet is not None:
            self.fleet.check()

    def tend(self) -> None:
        """Check the worker, and enqueue again what the queue has lost; others do where this user may only look.

        Raises as `LocalFleet.check`.
        """
        self.check()
        with suppress(Infrastructure, SettingsError):
            self.reconcile()

    @contextmanager
    def inspector(self) -> Generator[Inspector | None]:
        """An inspector of the broker's queues; None without a broker."""
        if (url := self.broker_url) is None:
            yield None
            return
        from persqa.broker.depth import Inspector

        with closing(Inspector(url)) as inspector:
            yield inspector

    def enqueue(self, run: Run, *, on_full: Callable[[], None]) -> int:
        """Enqueue the pending items that are not in the queue; returns their number.

        While the queue is full, `on_full` is called repeatedly.

        Raises:
            RunStopped: the run is paused or cancelled, or was meanwhile.
            SettingsError: no broker is named, it cannot be used, or the worker started here cannot start its engine or
                read the images.
            BrokerUnavailable: not all is enqueued; call again.
            WorkerDied: the queue is full, and the worker started here has ended.
        """

        def wait_for_room() -> None:
            self.check()
            on_full()

        if self.store.queries.progress(run.id).pending == 0:
            return 0
        refuse_stopped(self.store.runs.reread(run))
        from persqa.broker.connection import ask_server
        from persqa.broker.depth import Inspector
        from persqa.broker.publisher import Publisher
        from persqa.enqueueing import enqueue_pending

        url = self.need_broker(run)
        ask_server(url)
        with (
            closing(Publisher(url, ledger=self.store.ledger.id, queue_bound=self.settings.queue_bound)) as publisher,
            closing(Inspector(url)) as inspector,
        ):
            return enqueue_pending(self.store, publisher, inspector, run, on_full=wait_for_room)

    def publisher(self, run: Run) -> Publisher:
        """What puts items of runs into their queues; open until this is closed. Starts the fleet here if there is one.

        Raises:
            SettingsError, BrokerUnavailable: as of `enqueue`.
        """
        from persqa.broker.connection import ask_server
        from persqa.broker.publisher import Publisher

        url = self.need_broker(run)
        if self._publisher is None:
            ask_server(url)
            publisher = Publisher(url, ledger=self.store.ledger.id, queue_bound=self.settings.queue_bound)
            self._publisher = self._stack.enter_context(closing(publisher))
        return self._publisher

    def announce(self, run: Run) -> None:
        """Tell reconcilers that the run's items are about to be enqueued from here, if a broker is known.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        if (url := self.broker_url) is not None:
            from persqa.broker.publishing import Publishing

            with closing(Publishing(url, ledger=self.store.ledger.id)) as publishing:
                publishing.goes_on(run.id)

    def reconcile(self) -> int:
        """Enqueue again what the queue has lost, at most once in `reconcile_seconds`; without a broker, do nothing.

        Raises:
            StoreUnavailable: the database does not answer.
            BrokerUnavailable: Redis does not answer.
        """
        url = self.broker_url
        if url is None or time.monotonic() - self._looked_at < self.settings.reconcile_seconds:
            return 0
        self._looked_at = time.monotonic()
        from persqa.reconciler import Reconciler

        return Reconciler(self.store, self.settings.model_copy(update={"broker_url": url})).reconcile()
