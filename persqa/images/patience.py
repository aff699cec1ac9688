"""Retries for servers of images: a failure that may pass is tried again, within the time limit of an image."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure, Rejected
from persqa.reasons import Reason
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

#: Before the second request for an image; the next pauses are each twice as long, so there are few of them.
_FIRST_PAUSE_SECONDS = 0.25
#: The part of the time that is left which the last pause may take; the rest is for reading.
_LAST_PAUSE = 0.75
_SECONDS = re.compile(r"\d{1,9}(?:\.\d*)?", re.ASCII)


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
        seconds: time limit for all tries together, which a server that fails is given.
        stop: set when the worker is to stop.

    Raises:
        Rejected: the image cannot be read, or not in time.
        Infrastructure: the worker is stopping.
    """
    deadline = Deadline(seconds=seconds, end=time.monotonic() + seconds)
    pause = _FIRST_PAUSE_SECONDS
    number, is_last = 0, False
    before: Trouble | None = None
    while True:
        number += 1
        try:
            return read(deadline)
        except Rejected as rejected:
            if rejected.reason is Reason.TOO_SLOW and before is not None:
                # What went wrong says more than that the time is over.
                raise _given_up(before, number) from rejected
            raise
        except Trouble as trouble:
            before = trouble
            room = deadline.end - time.monotonic() - trouble.pause_seconds
            if is_last or room <= 0:
                raise _given_up(trouble, number) from trouble
            # The random factor keeps workers from asking again all at the same moment.
            own = pause * random.uniform(0.5, 1.0)
            is_last = own > room * _LAST_PAUSE
            wait = trouble.pause_seconds + min(own, room * _LAST_PAUSE)
        if stop.wait(wait):
            raise Infrastructure("this worker is stopping")
        pause *= 2


def wanted_pause(retry_after: str, date: str) -> float:
    """The seconds that the header `Retry-After` asks for, a number or a date; 0 where it says nothing of use.

    Args:
        retry_after: the header.
        date: the header `Date` of the same answer: what time it is for the server, whose clock may be wrong.
    """
    if _SECONDS.fullmatch(retry_after.strip()):
        return float(retry_after)
    if (then := _moment(retry_after)) is None:
        return 0.0
    now = _moment(date)
    return max(0.0, then - (time.time() if now is None else now))


def _moment(date: str) -> float | None:
    """A date of HTTP, in any of its three forms, as seconds since 1970."""
    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _given_up(trouble: Trouble, number: int) -> Rejected:
    later = f" and wants to be asked again in {trouble.pause_seconds:.0f} s" if trouble.pause_seconds >= 1 else ""
    asked = f"asked {counted(number, 'time')}, `persqa requeue RUN --status invalid` asks again"
    return Rejected(Reason.FETCH_FAILED, f"{trouble}{later}; {asked}")
