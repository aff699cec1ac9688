"""Parquet: what its types become, and what is wrong with a file or a row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persqa.blobs import BlobStore, parse_blob_reference
from persqa.errors import InputError
from persqa.reasons import Reason
from tests.support.reading import one_error, opened, values
from tests.support.thousand import picture, reference


def parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_images_come_as_paths_as_bytes_as_cells_and_as_lists_of_each(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        {
            "path": ["a.png", None],
            "bytes": pa.array([picture(1), picture(1)], pa.binary()),
            "cell": [{"bytes": picture(2), "path": "in/a ü.png"}, {"bytes": None, "path": "in/b.png"}],
            "cells": [[{"bytes": picture(3), "path": None}], []],
            "large": pa.array([[picture(4)], None], pa.list_(pa.large_binary())),
        },
    )
    assert values(opened(path)) == [
        {
            "path": "a.png",
            "bytes": reference(1),
            "cell": f"{reference(2)}/in/a%20%C3%BC.png",
            "cells": [reference(3)],
            "large": [reference(4)],
        },
        {"path": None, "bytes": reference(1), "cell": "in/b.png", "cells": [], "large": None},
    ]
    assert parse_blob_reference(f"{reference(2)}/in/a%20%C3%BC.png") == (reference(2)[5:], "in/a ü.png")
    assert BlobStore("blobs").get(reference(4)[5:], max_bytes=1000) == picture(4)
    assert len([file for file in Path("blobs").rglob("*") if file.is_file()]) == 4


def test_values_that_json_does_not_know_become_json(tmp_path: Path) -> None:
    moment = dt.datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=dt.UTC)
    path = parquet(
        tmp_path,
        {
            "when": [moment],
            "nanoseconds": pa.array([1], pa.timestamp("ns")),
            "day": [moment.date()],
            "hour": [moment.time()],
            "span": [dt.timedelta(seconds=90)],
            "price": [Decimal("1.10")],
            "nan": [float("nan")],
            "half": pa.array([0.5], pa.float16()),
            "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "word": pa.array(["x"]).dictionary_encode(),
        },
    )
    (found,) = values(opened(path))
    assert isinstance(found, dict)
    assert str(found.pop("nan")) == "nan"
    assert found == {
        "when": "2024-02-29T12:30:01.000005+00:00",
        "nanoseconds": "1970-01-01T00:00:00.000000001",
        "day": "2024-02-29",
        "hour": "12:30:01.000005",
        "span": 90.0,
        "price": "1.10",
        "half": 0.5,
        "map": [["a", 1]],
        "word": "x",
    }


def test_a_value_that_cannot_be_read_harms_only_its_row(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"], pa.binary()).buffers())
    wrong = one_error(opened(parquet(tmp_path, {"image": ["1", "2", "3"], "text": broken})))
    assert (wrong.place, wrong.value) == ("row 2", {"image": "2", "text": None})
    assert wrong.error is not None
    assert wrong.error.reason is Reason.BAD_VALUE
    assert "'text' cannot be read" in str(wrong.error)


def test_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    found = list(opened(parquet(tmp_path, {"image": [str(n) for n in range(10)]}, row_group_size=3)))
    assert [raw.place for raw in found] == [f"row {number}" for number in range(1, 11)]


@pytest.mark.parametrize("damage", ["no parquet", "cut off", "broken page", "empty"])
def test_a_broken_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = parquet(tmp_path, {"image": [f"{n}" * 9 for n in range(5000)]}, use_dictionary=False)
    content = bytearray(path.read_bytes())
    if damage == "broken page":
        content[4:60] = b"\xff" * 56
    path.write_bytes(
        {"no parquet": b"hello", "cut off": content[: len(content) // 2], "empty": b""}.get(damage, content)
    )
    with pytest.raises(InputError, match=r"a\.parquet: "):
        list(opened(path))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["image", "image"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="more than one column 'image'"):
        list(opened(tmp_path / "a.parquet"))
