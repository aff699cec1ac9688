"""Retries for servers of images: a failure that may pass is tried again, within the time limit of an image."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure, Rejected
from persqa.reasons import Reason
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

#: Most requests to a server for one image.
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.25


class Trouble(Exception):
    """A failure that may pass; the server wants no request for `pause_seconds`."""

    def __init__(self, message: str, *, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The end of reading an image: the time limit, in seconds, and the end by `time.monotonic`."""

    seconds: float
    end: float

    def left(self) -> float:
        """The seconds that are left; raises Rejected where none are."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def missed(self) -> Rejected:
        """The error of an image that took too long."""
        return Rejected(Reason.TOO_SLOW, f"not all of it came within {self.seconds:g} s (PERSQA_IMAGE_SECONDS)")


def patiently(read: Callable[[Deadline], bytes], *, seconds: float, stop: Event) -> bytes:
    """Read one image, with retries.

    Args:
        read: asks the server once; raises `Trouble` where a retry may help.
        seconds: time limit for all tries together.
        stop: set when the worker is to stop.

    Raises:
        Rejected: the image cannot be read, or not in time.
        Infrastructure: the worker is stopping.
    """
    deadline = Deadline(seconds=seconds, end=time.monotonic() + seconds)
    pause = _FIRST_PAUSE_SECONDS
    for number in range(1, _TRIES + 1):
        try:
            return read(deadline)
        except Trouble as trouble:
            # The random factor keeps workers from retrying all at the same moment.
            wanted = max(trouble.pause_seconds, pause * random.uniform(0.5, 1.0))
            if number == _TRIES or wanted >= deadline.left():
                sentence = (
                    f"{trouble}; asked {counted(number, 'time')}, `persqa requeue RUN --status invalid` asks again"
                )
                raise Rejected(Reason.FETCH_FAILED, sentence) from trouble
        if stop.wait(wanted):
            break
        pause *= 2
    raise Infrastructure("this worker is stopping")
