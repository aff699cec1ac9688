"""Patience with servers: what may be gone in a moment is tried again, within the time an image may take."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure, Rejected
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

#: How often a server is asked for one image, at most.
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.25


class Trouble(Exception):
    """A failure that may be gone in a moment.

    Attributes:
        pause_seconds: how long the server wants to be left alone.
    """

    def __init__(self, message: str, *, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When reading an image ends, finished or not.

    Attributes:
        seconds: that it was given.
        end: the moment, as `time.monotonic` counts.
    """

    seconds: float
    end: float

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            Rejected: none are.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def missed(self) -> Rejected:
        """What becomes of an image that is not here by then."""
        sentence = f"not all of it came within {self.seconds:g} s (PERSQA_IMAGE_SECONDS)"
        return Rejected(Reason.TOO_SLOW, sentence)


def patiently(read: Callable[[Deadline], bytes], *, seconds: float, stop: Event) -> bytes:
    """Read one image, again after a pause where the server has trouble.

    Args:
        read: asks the server once; raises `Trouble` where asking again may help.
        seconds: for all of it.
        stop: set when the worker is to stop.

    Raises:
        Rejected: it cannot be had, or not in time.
        Infrastructure: the worker is stopping; nothing is known of the image.
    """
    deadline = Deadline(seconds=seconds, end=time.monotonic() + seconds)
    pause = _FIRST_PAUSE_SECONDS
    for number in range(1, _TRIES + 1):
        try:
            return read(deadline)
        except Trouble as trouble:
            # Workers that trouble the same server should not all come back at the same moment.
            wanted = max(trouble.pause_seconds, pause * random.uniform(0.5, 1.0))
            if number == _TRIES or wanted >= deadline.left():
                sentence = f"{trouble}; asked {number} times, `persqa requeue RUN --status invalid` asks again"
                raise Rejected(Reason.FETCH_FAILED, sentence) from trouble
        if stop.wait(wanted):
            break
        pause *= 2
    raise Infrastructure("this worker is stopping")
