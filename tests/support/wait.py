"""Waiting for a condition, or, where time is the subject, for time to pass; nothing else of the suite sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

#: Looking takes one part in so many of the time, so that those who wait leave the machine to those who work; and the
#: least and the longest time between two looks.
_PARTS = 10
_LEAST_SECONDS, _MOST_SECONDS = 0.01, 0.25


def wait_until(condition: Callable[[], Found], *, describe: str, seconds: float = 30) -> Found:
    """Poll until the condition gives something true, and return that; fail with what never happened."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := condition():
            return found
        looked = time.monotonic()
        if looked > end:
            raise AssertionError(f"after {seconds} s still not: {describe}")
        time.sleep(min(max(_LEAST_SECONDS, _PARTS * (looked - began)), _MOST_SECONDS))


def spend(seconds: float) -> None:
    """Let time pass: for a fault that has to last, at a random moment, or that nothing happens meanwhile."""
    time.sleep(seconds)


async def give_way(seconds: float = 0) -> None:
    """Let the loop's other tasks go on, once or for so long."""
    await asyncio.sleep(seconds)
