"""Health: the pages that a worker serves over HTTP for health checks and for Prometheus."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import connect, translated
from persqa.errors import Infrastructure
from persqa.http_pages import Page, PageServer, facts_page, metrics_page
from persqa.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.settings import Settings
    from worker.process.watchdog import Watchdog

#: Longest wait for an answer of Redis or the database, and how long the answer is reused.
_LIMIT_SECONDS = 2.0
_FRESH_SECONDS = 2.0
_OK = "ok"


class Health:
    """Serves `/healthz`, `/readyz` and `/metrics` from the start of a worker to its end."""

    def __init__(
        self,
        settings: Settings,
        watchdog: Watchdog,
        *,
        engine: Callable[[], str],
        database: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            settings: where to listen, and the broker.
            watchdog: knows whether the worker is stuck.
            engine: returns `ok`, or what the engine does instead.
            database: raises `StoreUnavailable` if the database does not answer.
        """
        self._settings = settings
        self._watchdog = watchdog
        self._engine = engine
        self._database = database
        self._services: dict[str, Probe[None]] = {}

    def start(self) -> None:
        """Serve the pages, if the settings name a port.

        Raises:
            SettingsError: the port is taken, or the address does not belong to this machine.
        """
        port = self._settings.metrics_port
        if port is None:
            return
        self._services["broker"] = _probe("broker", self._ask_broker)
        self._services["database"] = _probe("database", self._database)
        pages = {"/healthz": self._alive, "/readyz": self._ready, "/metrics": metrics_page}
        address = self._settings.metrics_address
        PageServer(
            pages, address=address, port=port, setting="PERSQA_METRICS_PORT", address_setting="PERSQA_METRICS_ADDRESS"
        ).start("persqa-health")

    def _alive(self) -> Page:
        """Whether the process works; it does while it waits for an engine, Redis or the database."""
        complaint = self._watchdog.complaint
        silent, allowed = self._watchdog.silence
        still = f"still for {silent:.0f} s, {allowed:.0f} s allowed" if silent >= 1 else _OK
        facts = {"worker": complaint or self._state(), "loop": still, "engine": self._engine()}
        return facts_page(facts, well=complaint is None)

    def _ready(self) -> Page:
        """Whether the worker takes items and answers them."""
        facts = {"worker": self._state(), "engine": self._engine()}
        facts |= {name: _said(probe) for name, probe in self._services.items()}
        return facts_page(facts, well=all(fact == _OK for fact in facts.values()))

    def _state(self) -> str:
        return "draining: it was told to stop" if self._watchdog.is_stopping else _OK

    def _ask_broker(self) -> None:
        url = self._settings.broker_url
        assert url is not None
        once = Retry(NoBackoff(), 0)
        # A new connection each time, to see whether one can be made.
        with translated(url), closing(connect(url, timeout_seconds=_LIMIT_SECONDS, retry=once)) as redis:
            redis.ping()


def _probe(name: str, ask: Callable[[], None]) -> Probe[None]:
    return Probe(ask, name=f"persqa-health-{name}", limit_seconds=_LIMIT_SECONDS, fresh_seconds=_FRESH_SECONDS)


def _said(probe: Probe[None]) -> str:
    try:
        probe.answer()
    except (Infrastructure, TimeoutError) as error:
        return str(error)
    return _OK
