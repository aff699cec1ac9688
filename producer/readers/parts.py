"""A part of an input: the first records, or a random sample of all."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from persqa.records import RawRecord
    from producer.readers.base import Edition, Reader
    from producer.readers.passed import Passed

T = TypeVar("T")


def part_of(reader: Reader, *, limit: int | None, sample: int | None, seed: int) -> Reader:
    """The reader of a part of an input, or the reader itself where neither number is given.

    Args:
        reader: of the whole input.
        limit: how many records to take from the beginning.
        sample: how many records to draw at random; all where there are fewer.
        seed: decides which are drawn.
    """
    return reader if limit is None and sample is None else _PartReader(reader, limit, sample, seed)


def records_of_whole(reader: Reader) -> int | None:
    """How many records the whole input has, of which this reader has drawn and read a sample; None of any other."""
    return reader.whole if isinstance(reader, _PartReader) else None


def draw(values: Iterable[T], number: int, *, seed: int) -> list[tuple[int, T]]:
    """A uniform sample without replacement, in order, each value with its place; no more are kept than are wanted."""
    # Reservoir sampling: a new value replaces a random one with the chance that keeps all equal.
    chance = random.Random(f"sample/{seed}")
    drawn: list[tuple[int, T]] = []
    for place, value in enumerate(values):
        if place < number:
            drawn.append((place, value))
        elif (instead := chance.randrange(place + 1)) < number:
            drawn[instead] = (place, value)
    return sorted(drawn, key=lambda one: one[0])


class _PartReader:
    """Every reading gives the same records, and reads nothing after the last of them once that is known."""

    def __init__(self, reader: Reader, limit: int | None, sample: int | None, seed: int) -> None:
        self.name, self.base = reader.name, reader.base
        self._reader = reader
        self._limit = limit
        self._sample = sample
        self._seed = seed
        #: The places that were drawn, once they are.
        self._places: list[int] | None = None
        #: How many records there are, once a sample is drawn.
        self.whole: int | None = None

    @property
    def passed(self) -> Passed:
        """Of what was read of it."""
        return self._reader.passed

    def fields(self) -> Sequence[str] | None:
        """Those of the whole input."""
        return self._reader.fields()

    def edition(self) -> Edition:
        """That of the whole input; a file of which the beginning is read may grow."""
        return () if self._sample is None else self._reader.edition()

    def __iter__(self) -> Iterator[RawRecord]:
        if self._sample is None:
            yield from islice(self._reader, self._limit)
        elif self._places is None:
            drawn = draw(self._counted(), self._sample, seed=self._seed)
            self._places = [place for place, _ in drawn]
            yield from (record for _, record in drawn)
        else:
            wanted = set(self._places)
            upto = max(wanted, default=-1) + 1
            yield from (record for place, record in enumerate(islice(self._reader, upto)) if place in wanted)

    def _counted(self) -> Iterator[RawRecord]:
        whole = 0
        for record in self._reader:
            whole += 1
            yield record
        self.whole = whole
