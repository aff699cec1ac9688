"""Reconciling: the thread of a worker that looks regularly for items that the queue has lost."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure
from persqa.reconciler import Reconciler
from worker.process import metrics

if TYPE_CHECKING:
    from persqa.settings import Settings
    from persqa.store import Store

logger = logging.getLogger(__name__)


class Reconciling:
    """Runs the reconciler every `PERSQA_RECONCILE_SECONDS`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persqa-reconciler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and break off what it does."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._settings.reconcile_seconds):
            try:
                metrics.RECOVERED.inc(Reconciler(self._store, self._settings, stop=self._ending).reconcile())
            except Infrastructure as error:
                logger.warning("could not look for lost items: %s", error)
            except Exception:
                logger.exception("a defect of PersQA; lost items are looked for again later")
