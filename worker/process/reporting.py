"""Reporting: the thread of a worker that tells every second, over Redis, what the worker is about."""

from __future__ import annotations

import logging
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, cast

from persqa.broker.workers import GpuInfo, WorkerInfo, Workers
from persqa.errors import BrokerUnavailable, SettingsError
from persqa.models import default_model
from worker.process.condition import CONDITION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persqa.settings import Settings

logger = logging.getLogger(__name__)

_REPORT_SECONDS = 1.0
#: Shortest pause, where much changes at once.
_LEAST_SECONDS = 0.1


class Reporting:
    """Tells from its start to its stop; where Redis does not answer, others can see that themselves."""

    def __init__(self, settings: Settings, *, node: str, facts: Callable[[], Mapping[str, object]]) -> None:
        """Prepare; `node` is Celery's name for this worker, and `facts` what `celery inspect stats` shows of it."""
        self._settings = settings
        self._node = node
        self._facts = facts
        #: The identity of the worker's database, once that is open.
        self.ledger: str | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persqa-reporting", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell that this worker is gone, and end the thread."""
        self._ending.set()
        CONDITION.changed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            assert self._settings.broker_url is not None
            with closing(Workers(self._settings.broker_url)) as workers:
                self._tell(workers)
        except Exception:
            logger.exception("a defect of PersQA; this worker is in no list of workers from now on, and works on")

    def _tell(self, workers: Workers) -> None:
        failing = False
        with suppress(BrokerUnavailable, SettingsError):
            workers.tidy()
        while not self._ending.is_set():
            CONDITION.changed.clear()
            try:
                workers.report(self._info())
                failing = False
            except (BrokerUnavailable, SettingsError) as error:
                if not failing:
                    logger.warning("%s; this worker is in no list of workers meanwhile", error)
                failing = True
            CONDITION.changed.wait(_REPORT_SECONDS)
            self._ending.wait(_LEAST_SECONDS)
        with suppress(BrokerUnavailable, SettingsError):
            workers.remove(self._node)

    def _info(self) -> WorkerInfo:
        phase, since = CONDITION.phase
        facts = self._facts()
        return WorkerInfo(
            name=self._node,
            model=str(facts["model"] or self._settings.model or default_model()),
            in_flight=cast("int", facts["in-flight"]),
            window=self._settings.window,
            phase=phase,
            since=since,
            ledger=self.ledger,
            gpus=tuple(GpuInfo(**gpu) for gpu in cast("list[dict[str, str]]", facts["gpus"])),
            hindrances=CONDITION.hindrances,
        )
