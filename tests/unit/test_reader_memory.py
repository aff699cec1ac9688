# pyright: reportUnknownMemberType=false
# The stubs of pyarrow leave some arguments untyped.
"""Readers hold a few records at a time, however long the input is."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.growth import growth_mb
from tests.support.long_inputs import INPUTS
from tests.support.thousand import a_record

#: What buffers and batches take. Any of the inputs as Python objects takes three times as much and more.
SHORT_LIMIT_MB = 32
LONG_LIMIT_MB = 64


@pytest.mark.parametrize("name", INPUTS)
def test_thousands_of_rows_take_no_more_than_a_few_batches(tmp_path: Path, name: str) -> None:
    # Going through an archive takes longer than all else.
    rows = 20_000 if name == "long.tar" else 50_000
    INPUTS[name](tmp_path / name, rows, 2000)
    growth = growth_mb(tmp_path / name, rows=rows)
    print(f"{name}: {growth:.1f} MB")
    assert growth < SHORT_LIMIT_MB


@pytest.mark.long
@pytest.mark.parametrize("name", INPUTS)
def test_a_million_rows_take_no_more_than_a_few_batches(tmp_path: Path, name: str) -> None:
    INPUTS[name](tmp_path / name, 1_000_000, 400)
    growth = growth_mb(tmp_path / name, rows=1_000_000)
    print(f"{name}: {growth:.1f} MB")
    assert growth < LONG_LIMIT_MB


def test_large_images_in_a_column_are_held_a_few_at_a_time(tmp_path: Path) -> None:
    images = [bytes([number]) * 500_000 for number in range(20)] * 20
    table = pa.table({"image": pa.array(images, pa.binary())})
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False)
    assert (tmp_path / "large.parquet").stat().st_size > 190e6
    growth = growth_mb(tmp_path / "large.parquet", rows=400)
    print(f"large images: {growth:.1f} MB")
    assert growth < LONG_LIMIT_MB


def test_the_measure_sees_what_is_held(tmp_path: Path) -> None:
    """One line of 100 MB has to be held as a whole: where that is not seen, nothing else would be."""
    path = tmp_path / "one.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps(a_record(index)) + "\n" for index in range(3000))
        file.write(json.dumps({**a_record(0), "words": "x" * 100_000_000}))
    assert growth_mb(path, rows=3001) > 100
