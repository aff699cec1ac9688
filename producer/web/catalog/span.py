"""Span: a quantity of items, of which a view may have a part, such as answers of 40 to 60 characters."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum

from persqa.errors import SettingsError

_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)-([0-9]{1,15}(?:\.[0-9]{1,9})?)?")


class Span(StrEnum):
    """What items have more or less of; the value is its name in an address."""

    LENGTH = "length"  #: of the answer, in characters
    IMAGE_SECONDS = "image-seconds"
    ENGINE_SECONDS = "engine-seconds"
    FINISHED = "finished"  #: when the item ended, in seconds since 1970

    @property
    def column(self) -> str:
        """The column of the catalog."""
        return "answer_length" if self is Span.LENGTH else self.value.replace("-", "_")

    @property
    def words(self) -> str:
        """What it is, for people."""
        return _WORDS[self]

    def parse(self, text: str) -> tuple[float, float]:
        """Read what an address says: the least value, and the first one that is too large, infinity where none is.

        Raises:
            SettingsError: it is written otherwise.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None or (found[2] and float(found[2]) <= float(found[1])):
            said = "two numbers with a dash between them, the smaller one first, as in 40-60 or 40-"
            raise SettingsError(f"the filter {self.value} is {text[:60]!r}: write {said}")
        return float(found[1]), float(found[2]) if found[2] else math.inf

    def written(self, low: float, high: float) -> str:
        """As an address says it."""
        return f"{_number(low)}-{'' if high == math.inf else _number(high)}"

    def said(self, low: float, high: float) -> str:
        """The part of it, as people read it."""
        if self is Span.FINISHED:
            begin, end = (datetime.fromtimestamp(min(one, _LAST), UTC) for one in (low, high))
            return f"{begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"
        unit = "characters" if self is Span.LENGTH else "s"
        until = "or more" if high == math.inf else f"to below {_number(high)}"
        return f"{_number(low)} {until} {unit}"


_WORDS = {
    Span.LENGTH: "Length of the answer",
    Span.IMAGE_SECONDS: "Time for the images",
    Span.ENGINE_SECONDS: "Time of the model",
    Span.FINISHED: "Ended",
}
#: The end of the last year that has four digits.
_LAST = 253_402_300_799


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
