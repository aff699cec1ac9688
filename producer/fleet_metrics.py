"""FleetMetrics: queue depths and progress of runs for Prometheus, read at each scrape."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.depth import Inspector
from persqa.broker.keys import queues_for
from persqa.errors import Infrastructure, RowRefused, SettingsError
from persqa.pairs import PENDING
from persqa.probes import Probe
from persqa.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.broker.depth import Backlog
    from persqa.progress import RunProgress
    from persqa.settings import Settings

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

#: Timeout of Redis and of the database, and how long an answer stays fresh.
_LIMIT_SECONDS = 3.0
_FRESH_SECONDS = 1.0
#: How many runs are shown: each is a handful of time series.
_UNFINISHED = 100
_NEWEST = 20


class FleetMetrics(Collector):
    """Reads the queues from Redis and the runs from the database; either may be away."""

    def __init__(self, settings: Settings, *, broker_url: str) -> None:
        """Prepare, without connecting.

        Raises:
            SettingsError: one of the URLs cannot be used.
        """
        self._queries = Store.look(settings.database_url).queries
        self._inspector = Inspector(broker_url, timeout_seconds=_LIMIT_SECONDS, retry=Retry(NoBackoff(), 0))
        #: The models the database named last; their queues are read even while it is away.
        self._models: list[str] = []
        self._away: set[str] = set()
        self._broker = Probe(
            lambda: self._inspector.backlog(queues_for(None, *self._models)),
            name="persqa-exporter-broker",
            limit_seconds=_LIMIT_SECONDS,
            fresh_seconds=_FRESH_SECONDS,
        )
        self._database = Probe(
            self._runs, name="persqa-exporter-database", limit_seconds=_LIMIT_SECONDS, fresh_seconds=_FRESH_SECONDS
        )

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """All metrics there can be, without asking Redis."""
        return [_up(), *_of_runs(()), *_of_queues(None)]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Read both services; takes a few seconds at most."""
        runs = self._answer("database", self._database)
        backlog = self._answer("broker", self._broker)
        up = _up()
        up.add_metric(["broker"], backlog is not None)
        up.add_metric(["database"], runs is not None)
        return [up, *_of_runs(runs or ()), *_of_queues(backlog)]

    def _answer(self, service: str, probe: Probe[Answer]) -> Answer | None:
        try:
            answer = probe.answer()
        except (Infrastructure, RowRefused, SettingsError, TimeoutError) as error:
            # Logged once, and not at every scrape.
            if service not in self._away:
                logger.warning("the %s is away: %s", service, error)
            self._away.add(service)
            return None
        if service in self._away:
            logger.warning("the %s answers again", service)
        self._away.discard(service)
        return answer

    def _runs(self) -> list[RunProgress]:
        self._models = self._queries.models()
        return self._queries.overview(unfinished=_UNFINISHED, newest=_NEWEST)


def _up() -> GaugeMetricFamily:
    return GaugeMetricFamily("persqa_up", "1 while a service answers the exporter, else 0.", labels=["service"])


def _of_runs(runs: Iterable[RunProgress]) -> list[GaugeMetricFamily]:
    text = "Items of a run by status, pending included; of runs that are not done, and of the newest."
    family = GaugeMetricFamily("persqa_run_items", text, labels=["run", "status"])
    for one in runs:
        for status, number in one.progress.ended.items():
            family.add_metric([one.run, status], number)
        family.add_metric([one.run, PENDING], one.progress.pending)
    return [family]


def _of_queues(backlog: Backlog | None) -> list[GaugeMetricFamily]:
    text = "Messages that wait in a queue, or beside it in those of open runs."
    waiting = GaugeMetricFamily("persqa_queue_messages", text, labels=["queue"])
    oldest = GaugeMetricFamily(
        "persqa_queue_oldest_seconds",
        "How long ago the message that is taken next was enqueued, in the queue or an open run's; 0 where none waits, "
        "none where it does not say.",
        labels=["queue"],
    )
    held = GaugeMetricFamily("persqa_queue_held_messages", "Messages in workers' hands, of all queues.")
    if backlog is not None:
        held.add_metric([], backlog.held)
        for one in backlog.queues:
            waiting.add_metric([one.queue], one.waiting)
            if not one.waiting or one.oldest_seconds is not None:
                oldest.add_metric([one.queue], one.oldest_seconds or 0.0)
    return [waiting, oldest, held]
