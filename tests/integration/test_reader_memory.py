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
from tests.support.hub import local_hub
from tests.support.long_inputs import INPUTS, write_groups
from tests.support.thousand import a_record

#: What buffers and batches take. Any of the inputs as Python objects takes twice as much and more.
SHORT_LIMIT_MB = 48
#: Records of these are small, and so is all that could be kept of them.
SMALL_LIMIT_MB = 12
LONG_LIMIT_MB = 64


def growth_of(name: str, folder: Path, *, rows: int, width: int) -> float:
    """Write an input and measure its reader; standard input and the hub give what is a file elsewhere."""
    kind = {"standard input": "long.jsonl", "hub": "long.parquet"}.get(name, name)
    path = folder / "served" / "long" / kind
    path.parent.mkdir(parents=True)
    (write_groups if name == "hub" else INPUTS[kind])(path, rows, width)
    match name:
        case "standard input":
            growth = growth_mb("-", rows=rows, piped=path)
        case "hub":
            with local_hub(folder / "served") as (url, _):
                variables = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home")}
                growth = growth_mb("hf://org/long", rows=rows, environment=variables)
        case _:
            growth = growth_mb(path, rows=rows)
    print(f"{name}: {growth:.1f} MB")
    return growth


NAMES = (*INPUTS, "standard input", "hub")


@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_rows_take_no_more_than_a_few_batches(tmp_path: Path, name: str) -> None:
    # Archives and folders take longer than all else.
    small = name in ("long.tar", "long-pictures")
    growth = growth_of(name, tmp_path, rows=20_000 if small else 50_000, width=2000)
    assert growth < (SMALL_LIMIT_MB if small else SHORT_LIMIT_MB)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_million_rows_take_no_more_than_a_few_batches(tmp_path: Path, name: str) -> None:
    assert growth_of(name, tmp_path, rows=1_000_000, width=400) < LONG_LIMIT_MB


def test_large_images_in_a_column_are_held_a_few_at_a_time(tmp_path: Path) -> None:
    images = [bytes([number]) * 500_000 for number in range(20)] * 20
    table = pa.table({"image": pa.array(images, pa.binary())})
    # A page is read as a whole, and with pyarrow's defaults all of these images would be one page.
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False, write_batch_size=16)
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
