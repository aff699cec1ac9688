"""Readers hold a few records at a time, however long the input is."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.growth import GENERATED, Meter, meter
from tests.support.hub import local_hub
from tests.support.long_inputs import INPUTS, write_groups
from tests.support.thousand import a_record

LONG_LIMIT_MB = 64
#: Rows of the short inputs, how wide they are, and what buffers and batches take in MB. Each of them as Python objects
#: takes twice as much and more.
SHORT = (10_000, 2000, 12.0)
SHORTS = {
    # Pages and row groups are large: what is held of them is, too.
    "long.parquet": (25_000, 2000, 36.0),
    "hub": (20_000, 2000, 30.0),
    # Members and names are small, and so is all that could be kept of them.
    "long.tar": (3_000, 0, 3.0),
    "long-pictures": (10_000, 0, 2.0),
}
#: What is no file: the file that comes in this way.
SERVED = {"standard input": "long.jsonl", "hub": "long.parquet"}
NAMES = (*INPUTS, *SERVED, GENERATED)


@pytest.fixture(scope="module")
def measuring() -> Generator[Meter]:
    with meter() as found:
        yield found


def growth_of(measuring: Meter, name: str, folder: Path, *, rows: int, width: int) -> float:
    """Write an input and measure its reader."""
    kind = SERVED.get(name, name)
    path = folder / "served" / "long" / kind
    path.parent.mkdir(parents=True)
    if name != GENERATED:
        (write_groups if name == "hub" else INPUTS[kind])(path, rows, width)
    if name == "standard input":
        growth = measuring.growth_mb("-", rows=rows, piped=path)
    elif name == "hub":
        with local_hub(folder / "served") as (url, _):
            variables = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home")}
            growth = measuring.growth_mb("hf://org/long", rows=rows, environment=variables)
    else:
        growth = measuring.growth_mb(name if name == GENERATED else path, rows=rows)
    print(f"{name}: {growth:.1f} MB")
    return growth


@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_rows_take_no_more_than_a_few_batches(measuring: Meter, tmp_path: Path, name: str) -> None:
    rows, width, limit = SHORTS.get(name, SHORT)
    assert growth_of(measuring, name, tmp_path, rows=rows, width=width) < limit


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_million_rows_take_no_more_than_a_few_batches(measuring: Meter, tmp_path: Path, name: str) -> None:
    assert growth_of(measuring, name, tmp_path, rows=1_000_000, width=400) < LONG_LIMIT_MB


def test_large_images_in_a_column_are_held_a_few_at_a_time(measuring: Meter, tmp_path: Path) -> None:
    images = [bytes([number]) * 500_000 for number in range(20)] * 12
    table = pa.table({"image": pa.array(images, pa.binary())})
    # A page is read as a whole, and with pyarrow's defaults all of these images would be one page.
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False, write_batch_size=16)
    assert (tmp_path / "large.parquet").stat().st_size > 115e6
    growth = measuring.growth_mb(tmp_path / "large.parquet", rows=240)
    print(f"large images: {growth:.1f} MB")
    assert growth < LONG_LIMIT_MB


def test_the_measure_sees_what_is_held(measuring: Meter, tmp_path: Path) -> None:
    """One line of 50 MB has to be held as a whole: where that is not seen, nothing else would be."""
    path = tmp_path / "one.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps(a_record(index)) + "\n" for index in range(3000))
        file.write(json.dumps({**a_record(0), "words": "x" * 50_000_000}))
    assert measuring.growth_mb(path, rows=3001) > 50
