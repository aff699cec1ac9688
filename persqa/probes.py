"""Probe: a bounded question to a service that may never answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Asks in a thread of its own, one question at a time, and keeps the answer for a while; thread-safe."""

    def __init__(self, ask: Callable[[], Answer], *, name: str, limit_seconds: float, fresh_seconds: float) -> None:
        """Prepare, without asking.

        Args:
            ask: the question; an exception is an answer, too.
            name: the name of the thread.
            limit_seconds: longest wait for an answer.
            fresh_seconds: how long an answer is kept.
        """
        self._ask = ask
        self._name = name
        self._limit = limit_seconds
        self._fresh = fresh_seconds
        self._lock = threading.Lock()
        self._answer: Future[Answer] | None = None
        self._asked_at = 0.0

    def answer(self) -> Answer:
        """The answer.

        Raises:
            TimeoutError: there is none in time.
            Exception: what asking raised.
        """
        with self._lock:
            now = time.monotonic()
            if self._answer is None or (self._answer.done() and now - self._asked_at > self._fresh):
                self._answer, self._asked_at = Future(), now
                threading.Thread(target=self._run, args=(self._answer,), name=self._name, daemon=True).start()
            answer, waited = self._answer, now - self._asked_at
        try:
            # The wait counts from the question, also for a second caller.
            return answer.result(max(0.0, self._limit - waited))
        except TimeoutError as error:
            if answer.done() and answer.exception() is error:
                raise
            raise TimeoutError(f"no answer for {time.monotonic() - self._asked_at:.0f} s") from None

    def _run(self, answer: Future[Answer]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - raised by `answer`
            answer.set_exception(error)
