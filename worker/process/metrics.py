"""Metrics of a worker for Prometheus; docs/metrics.md explains each."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from persqa.flags import ANSWER_FLAGS, PICTURE_FLAGS
from persqa.reasons import Reason
from persqa.results import Status
from persqa.verdicts import ViolationKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.results import Outcome

BUILD = Info("persqa_build", "Version of PersQA, and the model that this worker serves.")


def name_model(model: str) -> None:
    """Publish the model that this worker serves."""
    BUILD.info({"version": version("persqa"), "model": model})


name_model("")

ITEMS = Counter("persqa_items", "Items whose result this worker stored, by status.", ["status"])
VIOLATIONS = Counter("persqa_violations", "Generations that broke their run's rule, of those items, by kind.", ["kind"])
FLAGS = Counter("persqa_flags", "Items whose result this worker stored, by flag of their answer or picture.", ["flag"])

WINDOW = Gauge("persqa_window_items", "Items that may be in flight in this worker at once.")
IN_FLIGHT = Gauge("persqa_in_flight_items", "Items in flight: waiting, running or uncommitted.")
IMAGE_BYTES = Gauge("persqa_image_bytes", "Memory that images in this worker take, or have room reserved for.")
HELD = Gauge("persqa_held_messages", "Messages that this worker holds, each under a lease.")

ENGINE_UP = Gauge("persqa_engine_up", "1 while the engine is up, 0 while it is being loaded or replaced.")
ASKED = Gauge("persqa_engine_asked_requests", "Requests that the engine has got and not answered.")
WAITING = Gauge("persqa_engine_waiting_requests", "Requests that the engine has got and not begun.")
RESTARTS = Counter("persqa_engine_restarts", "Engines that died or hung and were replaced in this worker.")

STAGE_SECONDS = Histogram(
    "persqa_stage_seconds",
    "How long a stage took. claim: one round trip to Redis that brought messages; image: all images of one answered "
    "item, read and decoded; engine: all generations of one answered item; commit: one transaction of many results, "
    "waiting for the database included.",
    ["stage"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
CLAIM, IMAGE, ENGINE, COMMIT = (STAGE_SECONDS.labels(stage) for stage in ("claim", "image", "engine", "commit"))

RENEWALS = Counter("persqa_lease_renewals", "Leases that were renewed.")
EXPIRED = Counter(
    "persqa_expired_leases", "Messages of other workers that this worker put back when their leases had run out."
)
REDELIVERIES = Counter(
    "persqa_redeliveries",
    "Messages claimed that a worker had before and lost; counted again when one of them, under suspicion, was given "
    "back untried.",
)
RECOVERED = Counter("persqa_recovered_items", "Items that the queue had lost, and this worker enqueued again.")
DEAD_LETTERS = Counter("persqa_dead_letters", "Messages that nobody can answer, by reason.", ["reason"])
OUTAGES = Counter("persqa_outages", "Calls that waited for a service which did not answer, by service.", ["service"])

#: The reasons of dead letters.
_DEAD_LETTER_REASONS = (
    Reason.UNREADABLE_MESSAGE,
    Reason.UNKNOWN_TASK,
    Reason.UNKNOWN_VERSION,
    Reason.OVERSIZED_MESSAGE,
    Reason.REVOKED,
    Reason.EXPIRED,
)

# Each label starts at 0, because Prometheus sees no increase in a first value.
for _metric, _values in (
    (ITEMS, Status),
    (VIOLATIONS, ViolationKind),
    (FLAGS, (*ANSWER_FLAGS, *PICTURE_FLAGS)),
    (DEAD_LETTERS, _DEAD_LETTER_REASONS),
    (OUTAGES, ("broker", "database", "blobs")),
):
    for _value in _values:
        _metric.labels(_value)


class _Busy(Collector):
    """Seconds in which the engine had something to answer; written by one thread."""

    def __init__(self) -> None:
        # Earlier seconds, and since when it is busy. One value, so that other threads never see half of a change.
        self._state: tuple[float, float | None] = (0.0, None)

    def begin(self) -> None:
        """Start counting."""
        self._state = self.seconds, time.monotonic()

    def end(self) -> None:
        """Stop counting."""
        self._state = self.seconds, None

    @property
    def seconds(self) -> float:
        """The seconds until now."""
        before, since = self._state
        return before if since is None else before + time.monotonic() - since

    def describe(self) -> Iterable[CounterMetricFamily]:
        """The metric without a value."""
        text = "Seconds in which the engine had at least one request to answer; its rate is the engine's busy share."
        return [CounterMetricFamily("persqa_engine_busy_seconds", text)]

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The metric with its value."""
        (family,) = self.describe()
        family.add_metric([], self.seconds)
        return [family]


BUSY = _Busy()
REGISTRY.register(BUSY)


def ended() -> dict[Status, int]:
    """How many items this worker has ended so far, by status."""
    samples = [sample for family in ITEMS.collect() for sample in family.samples if sample.name.endswith("_total")]
    values = {sample.labels["status"]: int(sample.value) for sample in samples}
    return {status: values[status] for status in Status}


def count_stored(outcomes: Iterable[Outcome]) -> None:
    """Count outcomes that this worker stored, and how long their items took."""
    for outcome in outcomes:
        result = outcome.result
        ITEMS.labels(result.status).inc()
        for violation in outcome.violations:
            VIOLATIONS.labels(violation.kind).inc()
        for finding in outcome.findings:
            FLAGS.labels(finding.flag).inc()
        if result.image_seconds is not None:
            IMAGE.observe(result.image_seconds)
        if result.engine_seconds is not None:
            ENGINE.observe(result.engine_seconds)
