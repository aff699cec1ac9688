"""A part of an input: the first records, or a random sample of all."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persqa.records import RawRecord
    from producer.readers.base import Reader


def part_of(reader: Reader, *, limit: int | None, sample: int | None, seed: int) -> Reader:
    """The reader of a part of an input; of all of it where neither number is given.

    Args:
        reader: of the whole input.
        limit: so many records from its beginning.
        sample: so many records at random; all where there are fewer.
        seed: decides which.
    """
    if limit is not None:
        return FirstRecords(reader, limit)
    return reader if sample is None else SampledRecords(reader, sample, seed=seed)


class FirstRecords:
    """The first records of an input; what comes after them is not read."""

    def __init__(self, reader: Reader, number: int) -> None:
        """Keep the reader; there is at least one record to take."""
        self._reader = reader
        self._number = number

    @property
    def name(self) -> str:
        """That of the input."""
        return self._reader.name

    @property
    def base(self) -> Path:
        """That of the input."""
        return self._reader.base

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order."""
        yield from islice(self._reader, self._number)


class SampledRecords:
    """A uniform sample without replacement, in the input's order; every reading gives the same records.

    The first reading goes through the whole input once and keeps no more records than are wanted. Later readings know
    the places, keep nothing, and end with the last of them.
    """

    def __init__(self, reader: Reader, number: int, *, seed: int) -> None:
        """Keep the reader; nothing is drawn yet.

        Args:
            reader: of the whole input.
            number: how many records to take, at least one; all where there are fewer.
            seed: with the number of records, it decides which.
        """
        self._reader = reader
        self._number = number
        self._seed = seed
        self._places: list[int] | None = None

    @property
    def name(self) -> str:
        """That of the input."""
        return self._reader.name

    @property
    def base(self) -> Path:
        """That of the input."""
        return self._reader.base

    def __iter__(self) -> Iterator[RawRecord]:
        """The records in order."""
        if self._places is None:
            drawn = sorted(self._draw(), key=lambda one: one[0])
            self._places = [place for place, _ in drawn]
            yield from (record for _, record in drawn)
            return
        wanted = set(self._places)
        upto = max(wanted, default=-1) + 1
        yield from (record for place, record in enumerate(islice(self._reader, upto)) if place in wanted)

    def _draw(self) -> list[tuple[int, RawRecord]]:
        """Reservoir sampling: each new record takes the place of a random one with the chance that keeps all equal."""
        chance = random.Random(f"sample/{self._seed}")
        drawn: list[tuple[int, RawRecord]] = []
        for place, record in enumerate(self._reader):
            if place < self._number:
                drawn.append((place, record))
            elif (instead := chance.randrange(place + 1)) < self._number:
                drawn[instead] = (place, record)
        return drawn
