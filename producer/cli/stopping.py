"""Stopping: what a person sees while the worker of a command ends."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from rich.text import Text

from persqa.broker.workers import Workers
from persqa.clock import duration, seconds_since
from persqa.errors import BrokerUnavailable

if TYPE_CHECKING:
    from persqa.phases import Hindrance

_ASK_SECONDS = 1.0


class Stopping:
    """How long it has taken and may take, and what is in the way; drawn anew as often as the screen likes."""

    def __init__(self, url: str, *, worker: int, most_seconds: float) -> None:
        """Prepare.

        Args:
            url: the broker.
            worker: the number of the worker's process.
            most_seconds: how long it may take.
        """
        self._worker = f"worker-{worker}-"
        self._url = url
        self._most = most_seconds
        self._began = time.monotonic()
        self._asked_at = self._began - _ASK_SECONDS
        self._hindrances: tuple[Hindrance, ...] = ()

    def __rich__(self) -> Text:
        if time.monotonic() - self._asked_at >= _ASK_SECONDS:
            self._ask()
            self._asked_at = time.monotonic()
        passed = duration(time.monotonic() - self._began)
        text = Text(f"stopping the worker: it finishes what it has begun, {passed} ({duration(self._most)} at most)")
        for one in self._hindrances:
            text.append(f"\n{one.sentence} ({duration(seconds_since(one.since))})", "yellow")
        return text

    def _ask(self) -> None:
        # The broker may be gone before the worker is; what was said last stays true.
        with suppress(BrokerUnavailable), closing(Workers(self._url)) as workers:
            told = [one for one in workers.all() if one.name.startswith(self._worker)]
            self._hindrances = told[0].hindrances if told else self._hindrances
