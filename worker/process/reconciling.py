"""Reconciling: a thread of the worker that looks, now and then, for what the queue has lost."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure
from persqa.reconciler import Reconciler
from persqa.store import Store
from worker import metrics

if TYPE_CHECKING:
    from persqa.settings import Settings

logger = logging.getLogger(__name__)


class Reconciling:
    """Runs as long as the worker does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persqa-reconciler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it; a look that is under way is broken off."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        store: Store | None = None
        while not self._ending.wait(self._settings.reconcile_seconds):
            try:
                store = store or Store.open(self._settings.database_url)
                metrics.RECOVERED.inc(Reconciler(store, self._settings, stop=self._ending).reconcile())
            except Infrastructure as error:
                logger.warning("could not look for lost items: %s", error)
            except Exception:
                logger.exception("a defect of PersQA; lost items are looked for again later")
        if store is not None:
            store.close()
