"""A part of an input: the first records, or a sample that is the same at every reading."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.records import RawRecord
from persqa.runs import RunOptions, parse_options
from producer.readers import part_of
from producer.readers.base import Edition
from producer.readers.passed import Passed
from tests.support.reading import opened, values
from tests.support.thousand import EXACT, TEXTUAL, Record, thousand, write_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producer.readers.base import Reader


class Numbers:
    """An input of numbers, which counts what is read of it."""

    name, base = "numbers", Path("/data")

    def __init__(self, count: int) -> None:
        self.count = count
        self.read = 0
        self.passed = Passed()

    def fields(self) -> None:
        return None

    def edition(self) -> Edition:
        return ()

    def __iter__(self) -> Iterator[RawRecord]:
        for number in range(self.count):
            self.read += 1
            yield RawRecord(place=f"record {number + 1}", value=number)


def taken(reader: Reader) -> list[int]:
    return [record.value for record in reader if isinstance(record.value, int)]


@given(st.integers(0, 60), st.integers(1, 80))
def test_a_limit_takes_the_first_and_reads_no_further(count: int, limit: int) -> None:
    numbers = Numbers(count)
    part = part_of(numbers, limit=limit, sample=None, seed=0)
    assert taken(part) == taken(part) == list(range(min(count, limit)))
    assert numbers.read == 2 * min(count, limit)
    assert (part.name, part.base) == ("numbers", Path("/data"))


@given(st.integers(0, 60), st.integers(1, 80), st.integers(0, 2**63 - 1))
def test_a_sample_is_in_order_has_none_twice_and_is_the_same_at_every_reading(
    count: int, sample: int, seed: int
) -> None:
    numbers = Numbers(count)
    part = part_of(numbers, limit=None, sample=sample, seed=seed)
    found = taken(part)
    assert found == sorted(set(found))
    assert len(found) == min(count, sample)
    assert numbers.read == count, "one pass"
    assert taken(part) == taken(part) == found
    assert taken(part_of(numbers, limit=None, sample=sample, seed=seed)) == found
    assert (part.name, part.base) == ("numbers", Path("/data"))


def test_a_limit_reads_no_further_in_records_of_a_program_that_never_end() -> None:
    read = 0

    def endless() -> Iterator[dict[str, object]]:
        nonlocal read
        while True:
            read += 1
            yield {"image": f"{read}.jpg"}

    part = part_of(opened(endless(), limit=5), limit=5, sample=None, seed=0)
    assert values(part) == values(part) == [{"image": f"{number}.jpg"} for number in range(1, 6)]
    assert read == 5


def test_every_sample_is_as_likely_as_any_other() -> None:
    draws = 6000
    found = Counter(tuple(taken(part_of(Numbers(5), limit=None, sample=2, seed=seed))) for seed in range(draws))
    assert set(found) == set(combinations(range(5), 2))
    # Chi-squared with 9 degrees of freedom: 27.9 is passed once in a thousand times; the seeds are always the same.
    expected = draws / 10
    assert sum((number - expected) ** 2 / expected for number in found.values()) < 27.9


def test_without_a_number_it_is_the_whole_input() -> None:
    numbers = Numbers(3)
    assert part_of(numbers, limit=None, sample=None, seed=0) is numbers


def test_a_limit_and_a_sample_are_refused_together_and_below_one() -> None:
    with pytest.raises(SettingsError, match=r"^limit and sample do not go together: choose one"):
        parse_options(limit=3, sample=3)
    for name in ("limit", "sample"):
        with pytest.raises(SettingsError, match=f"{name}: .* is too small: write 1 or more"):
            parse_options(**{name: 0})
    assert parse_options(limit=3) == RunOptions(limit=3)


_FORMATS: dict[str, Callable[[Path, list[Record]], str | Path]] = {**EXACT, **TEXTUAL, "tar": write_shards}


@pytest.mark.parametrize("file_format", _FORMATS)
def test_a_part_of_every_format_is_the_same_at_both_readings(tmp_path: Path, file_format: str) -> None:
    records = thousand()[:60]
    data = _FORMATS[file_format](tmp_path, records)
    whole = values(opened(data))
    first = part_of(opened(data), limit=7, sample=None, seed=0)
    assert values(first) == values(first) == whole[:7]
    drawn = part_of(opened(data), limit=None, sample=7, seed=3)
    found = values(drawn)
    assert found == values(drawn) == [record for record in whole if record in found]
    assert len(found) == 7
    assert [raw.place for raw in drawn] == [raw.place for raw in opened(data) if raw.value in found]
