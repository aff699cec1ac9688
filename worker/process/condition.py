"""Condition: the phase that this worker is in, and what it waits out; any thread may say so."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.clock import now, seconds_since
from persqa.phases import Hindrance, Phase, in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


logger = logging.getLogger(__name__)

#: More sentences at once say the same in other words, as of each image of a store that fails.
_MOST_SENTENCES = 5
#: How long an answer may take before people are told.
_SLOW_SECONDS = 3.0


class Condition:
    """What people see of this process who wait for it."""

    def __init__(self) -> None:
        #: The phase, and when it began: one value, so that other threads never see half of a change.
        self.phase = Phase.STARTING, now()
        #: Set at every change.
        self.changed = threading.Event()
        self._hindrances: dict[object, Hindrance] = {}
        #: What has begun and may turn out to take long.
        self._begun: dict[object, Hindrance] = {}

    @property
    def hindrances(self) -> tuple[Hindrance, ...]:
        """What it waits out at present; each sentence once, however many wait for the same."""
        first: dict[str, Hindrance] = {}
        slow = {key: one for key, one in self._begun.copy().items() if seconds_since(one.since) >= _SLOW_SECONDS}
        for found in sorted((slow | self._hindrances.copy()).values(), key=lambda one: one.since):
            first.setdefault(found.sentence, found)
        return tuple(first.values())[:_MOST_SENTENCES]

    def enter(self, phase: Phase) -> None:
        """Begin a phase; the last one ends with the process."""
        if self.phase[0] not in (phase, Phase.STOPPING):
            self.phase = phase, now()
            self.changed.set()
            # Of its end the worker logs more than this.
            if phase not in (Phase.READY, Phase.STOPPING):
                logger.info("%s", in_words(phase))

    def begin(self, key: object, sentence: str) -> None:
        """Say that something has to be waited out, or another sentence about the same; `key` tells one from others."""
        known = self._hindrances.get(key)
        if known is not None and known.sentence == sentence:
            return
        self._hindrances[key] = (
            Hindrance(sentence=sentence, since=now()) if known is None else replace(known, sentence=sentence)
        )
        self.changed.set()

    def end(self, key: object) -> None:
        """Say that it is over, if it was there."""
        if self._hindrances.pop(key, None) is not None:
            self.changed.set()

    @contextmanager
    def hindered(self, *, slow: str | None = None) -> Generator[Callable[[object], None]]:
        """What is called in this block with a sentence has to be waited out, until the end of the block.

        Args:
            slow: the sentence where nothing was said, and the block takes long all the same.
        """
        key = object()
        if slow is not None:
            self._begun[key] = Hindrance(sentence=slow, since=now())
        try:
            yield lambda sentence: self.begin(key, str(sentence))
        finally:
            self._begun.pop(key, None)
            self.end(key)


#: That of this process.
CONDITION = Condition()
