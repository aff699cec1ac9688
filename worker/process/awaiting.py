"""Awaiting: at its start a worker waits for a server that is away or still starting, and says so."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import ask_server
from persqa.errors import BrokerUnavailable, StoreUnavailable
from persqa.store import Store
from persqa.urls import without_password
from worker.process.ending import leave_if_told_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: Longest wait for one answer of Redis.
_ASK_SECONDS = 5.0
_LOOK_SECONDS = 0.2
#: Pause between two questions.
_PAUSE_SECONDS = 1.0
#: How long a server may be silent before the worker says that it waits, and how often it says the same again.
_SILENT_SECONDS = 1.0
_SAY_SECONDS = 10.0


def await_broker(url: str) -> None:
    """Wait until Redis answers.

    Raises:
        SettingsError: it is none that PersQA can use, or it refuses the password.
        SystemExit: this worker was told to stop.
    """
    once = Retry(NoBackoff(), 0)
    server = wait_for_answer(partial(ask_server, url, timeout_seconds=_ASK_SECONDS, retry=once), name="Redis")
    if server.evicts is not None:
        logger.warning("Redis at %s: %s", without_password(url), server.evicts)


def await_database(url: str, *, connections: int) -> Store:
    """Open the database, as `Store.open`; a server is waited for, as it may still be starting, and a file is not.

    Raises:
        SettingsError: this database cannot be used.
        StoreUnavailable: the file cannot be opened.
        SystemExit: this worker was told to stop.
    """
    opening = partial(Store.open, url, connections=connections)
    return opening() if url.startswith("sqlite") else wait_for_answer(opening, name="the database")


def wait_for_answer(ask: Callable[[], Answer], *, name: str) -> Answer:
    """Ask a server until it answers, for as long as it takes.

    Args:
        ask: the question, safe to repeat; asked in a thread of its own, since it may take long to fail.
        name: of the server, for people.

    Raises:
        PersqaError: what `ask` raises, unless that only means that the server does not answer.
        SystemExit: this worker was told to stop.
    """
    waiting = _Waiting(name)
    while True:
        asked, answer = time.monotonic(), _asked(ask)
        while not _passes(answer, _LOOK_SECONDS):
            if time.monotonic() - asked > _SILENT_SECONDS:
                waiting.say(waiting.why or "no answer yet")
        error = answer.exception()
        if not isinstance(error, BrokerUnavailable | StoreUnavailable):
            waiting.end()
            return answer.result()
        waiting.say(str(error).rstrip("."))
        again = time.monotonic() + _PAUSE_SECONDS
        while time.monotonic() < again:
            _passes(Future[None](), _LOOK_SECONDS)


class _Waiting:
    """What is said of one wait: a new reason at once, and the same one from time to time."""

    def __init__(self, name: str) -> None:
        self.why: str | None = None
        self._name = name
        self._began = self._said = time.monotonic()

    def say(self, why: str) -> None:
        now = time.monotonic()
        if why != self.why or now - self._said >= _SAY_SECONDS:
            waited = now - self._began
            since = f" for {waited:.0f} s" if waited >= _SAY_SECONDS else ""
            logger.warning("waiting%s for %s; the model is loaded once it answers: %s", since, self._name, why)
            self.why, self._said = why, now

    def end(self) -> None:
        if self.why is not None:
            logger.info("%s answers, after %.0f s", self._name, time.monotonic() - self._began)


def _asked(ask: Callable[[], Answer]) -> Future[Answer]:
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised where the answer is wanted
            answer.set_exception(error)

    # Nobody waits for it where this worker ends meanwhile.
    threading.Thread(target=run, name="persqa-awaiting", daemon=True).start()
    return answer


def _passes(answer: Future[Answer], seconds: float) -> bool:
    """Whether the answer comes in this time; raises SystemExit where this worker was told to stop."""
    leave_if_told_to_stop()
    return bool(wait([answer], timeout=seconds).done)
