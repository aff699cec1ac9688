"""Progress: how far a long piece of work is, a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

_EVERY_SECONDS: Final = 15.0


def say(line: str) -> None:
    """Print a line at once, also into a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Progress:
    """Prints rate and time left; nothing depends on it."""

    def __init__(self, name: str, steps: int, images_per_step: int, done: int = 0) -> None:
        self._name = name
        self._steps = steps
        self._images_per_step = images_per_step
        self._begun_at = done
        self._start = self._shown = time.monotonic()

    def show(self, done: int, note: str = "") -> None:
        """Say where the work is, unless it was said a moment ago."""
        now = time.monotonic()
        if now - self._shown < _EVERY_SECONDS and done < self._steps:
            return
        self._shown = now
        rate = (done - self._begun_at) / max(now - self._start, 1e-6)
        left = (self._steps - done) / rate
        say(
            f"{self._name:<18}{done:>6}/{self._steps}  {rate * self._images_per_step:7.1f} images/s"
            f"  {left // 60:3.0f}:{left % 60:02.0f} left  {note}"
        )
