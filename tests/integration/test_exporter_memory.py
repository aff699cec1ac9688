"""Exporters hold a few records at a time, however many there are."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from tests.support.answered import answered_below, picture
from tests.support.exporting import a_row, export


@pytest.mark.parametrize("name", ["out.json", "out.jsonl.zst", "out.csv", "out.parquet", "pairs"])
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path, name: str) -> None:
    def most(count: int) -> int:
        rows = (a_row({"image": "a.png", "id": number, "text": "x" * 1000}) for number in range(count))
        tracemalloc.start()
        try:
            export(rows, tmp_path / name, file_format="hf" if name == "pairs" else None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(100)  # whatever is loaded once is loaded now
    # Each is a kilobyte: held, they would be twice what is allowed.
    assert most(6_000) < most(2_000) + 2 * 2**20


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_no_more_than_a_few_copies_of_images_are_in_memory(tmp_path: Path, name: str) -> None:
    with answered_below(tmp_path) as answered:
        for number in range(16):
            os.truncate(picture(answered.data / f"{number}.bmp", number), 8 * 2**20)
        answered.run([{"image": f"{number}.bmp"} for number in range(16)])
        tracemalloc.start()
        try:
            answered.export(name)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answered.left == []
    assert most < 100 * 2**20
