"""Reconciling: the thread of a worker that looks now and then for items that the queue has lost."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure
from persqa.reconciler import Reconciler
from worker import metrics

if TYPE_CHECKING:
    from persqa.settings import Settings
    from persqa.store import Store

logger = logging.getLogger(__name__)


class Reconciling:
    """Runs as long as the worker does."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Prepare; nothing is started.

        Args:
            store: the ledger.
            settings: the broker, and how often to look.
        """
        self._store = store
        self._settings = settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persqa-reconciler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a look that is under way is broken off."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._settings.reconcile_seconds):
            try:
                metrics.RECOVERED.inc(Reconciler(self._store, self._settings, stop=self._ending).reconcile())
            except Infrastructure as error:
                logger.warning("could not look for lost items: %s", error)
            except Exception:
                logger.exception("a defect of PersQA; lost items are looked for again later")
