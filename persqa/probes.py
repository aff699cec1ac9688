"""Probe: a question to a service that may never answer, asked so that nobody waits long and nothing piles up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Asks in a thread of its own, once at a time, and keeps the answer for a moment; from any thread."""

    def __init__(self, ask: Callable[[], Answer], *, name: str, limit_seconds: float, fresh_seconds: float) -> None:
        """Prepare; nothing is asked.

        Args:
            ask: the question; whatever it raises is an answer, too.
            name: of the thread, which ends with the process.
            limit_seconds: how long to wait for an answer.
            fresh_seconds: how long an answer is good for.
        """
        self._ask = ask
        self._name = name
        self._limit = limit_seconds
        self._fresh = fresh_seconds
        self._lock = threading.Lock()
        self._answer: Future[Answer] | None = None
        self._asked_at = 0.0

    def answer(self) -> Answer:
        """What it says.

        Raises:
            TimeoutError: it does not answer in time.
            Exception: what asking raised.
        """
        with self._lock:
            now = time.monotonic()
            if self._answer is None or (self._answer.done() and now - self._asked_at > self._fresh):
                self._answer, self._asked_at = Future(), now
                threading.Thread(target=self._run, args=(self._answer,), name=self._name, daemon=True).start()
            answer, waited = self._answer, now - self._asked_at
        try:
            # Who comes while one waits already does not begin to wait anew.
            return answer.result(max(0.0, self._limit - waited))
        except TimeoutError as error:
            if answer.done() and answer.exception() is error:
                raise
            raise TimeoutError(f"no answer for {time.monotonic() - self._asked_at:.0f} s") from None

    def _run(self, answer: Future[Answer]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - belongs to whoever wants the answer
            answer.set_exception(error)
