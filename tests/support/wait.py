"""Waiting for a condition, the only place of the suite that sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], *, describe: str, seconds: float = 30) -> Found:
    """Poll until the condition gives something true, and return that; fail with what never happened."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {describe}")
        time.sleep(0.02)
    return found
