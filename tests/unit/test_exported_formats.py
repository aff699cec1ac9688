"""What each format of an export can hold, and how it comes back."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.blobs import BlobStore, blob_reference
from persqa.errors import InputError
from producer.exporters import choose_format
from producer.exporters.shapes import exported_record
from tests.support.exporting import PROMPT, a_row, data_set, export, parquet_rows, png, read_json


def test_parquet_types_its_columns_and_falls_back_to_text(tmp_path: Path) -> None:
    rows = [
        a_row({"image": ["a"], "n": 1, "mixed": 1, "half": "\ud800", "empty": {}}),
        a_row({"image": ["b", "c"], "n": 2, "mixed": "x", "late": 0.5}, answer=None),
    ]
    path = tmp_path / "out.parquet"
    export(rows, path, output_key="out")
    found = parquet_rows(path)
    assert [row["image"] for row in found] == [["a"], ["b", "c"]]
    assert [row["n"] for row in found] == [1, 2]
    assert [row["mixed"] for row in found] == ["1", "x"]
    assert [row["late"] for row in found] == [None, 0.5]
    assert [row["out"] for row in found] == ["<mam> smiles.", None]
    assert found[0]["half"] == "\ufffd"
    assert found[0]["conversation"] == [{"from": "human", "value": PROMPT}]


def test_parquet_has_a_place_for_what_is_empty_within(tmp_path: Path) -> None:
    rows = [a_row({"a": {"b": {}}, "c": [None], "d": {"e": None}}), a_row({"a": {"b": {"x": 1}}, "c": [], "d": None})]
    export(rows, tmp_path / "out.parquet")
    found = parquet_rows(tmp_path / "out.parquet")
    assert [row["a"] for row in found] == [{"b": {"x": None}}, {"b": {"x": 1}}]
    assert [row["c"] for row in found] == [[None], []]
    assert [row["d"] for row in found] == [{"e": None}, None]
    export(rows[:1], tmp_path / "one.parquet")
    assert json.loads(parquet_rows(tmp_path / "one.parquet")[0]["a"]) == {"b": {}}


def test_csv_has_a_column_for_every_field(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    export([a_row({"image": "a", "x": [1]}), a_row({"image": "b", "y": 'q"\n'})], path, output_key="out")
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["x"] for row in found] == ["[1]", ""]
    assert [row["y"] for row in found] == ["", 'q"\n']
    assert [row["image"] for row in found] == ["a", "b"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst"])
def test_csv_may_be_compressed(tmp_path: Path, suffix: str) -> None:
    export([a_row({"image": "ä", "n": 1})], tmp_path / f"out{suffix}")
    export([a_row({"image": "ä", "n": 1})], tmp_path / "plain.csv")
    data = (tmp_path / f"out{suffix}").read_bytes()
    if suffix.endswith(".gz"):
        data = gzip.decompress(data)
    if suffix.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read()
    assert data == (tmp_path / "plain.csv").read_bytes()


def test_what_is_compressed_by_itself_is_not_compressed_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"leave out \.gz"):
        choose_format(tmp_path / "out.parquet.gz", None)
    with pytest.raises(InputError, match="name it: json, jsonl, csv, parquet, hf"):
        choose_format(tmp_path / "out", None)
    assert choose_format(tmp_path / "out", "hf") == "hf"
    assert choose_format(tmp_path / "out.v2.jsonl", None) == "jsonl"
    assert choose_format(tmp_path / "out.txt.gz", "csv") == "csv"


def test_a_hugging_face_data_set_has_the_records_in_their_order(tmp_path: Path) -> None:
    rows = [
        a_row({"image": "a", "n": 1, "x": {"y": [1.5]}, "mixed": 1}),
        a_row({"image": "b", "n": 2, "mixed": "x"}, answer=None),
    ]
    assert export(rows, tmp_path / "pairs", file_format="hf") == 2
    found = data_set(tmp_path / "pairs")
    turns = [{"from": "human", "value": PROMPT}]
    assert found[:] == {
        "image": ["a", "b"],
        "n": [1, 2],
        "x": [{"y": [1.5]}, None],
        "mixed": ["1", "x"],
        "conversation": [turns, turns],
        "out": ["<mam> smiles.", None],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["pairs"]
    assert export(rows[:1], tmp_path / "pairs", file_format="hf") == 1
    assert len(data_set(tmp_path / "pairs")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pairs"]


def test_images_of_the_blob_store_are_bytes_again_where_a_format_can_hold_them(tmp_path: Path) -> None:
    import datasets

    blobs = BlobStore(tmp_path / "blobs")
    one, two = png(1), png(2)
    first = blob_reference(blobs.put(one), "my cat.png")
    second = blob_reference(blobs.put(two))
    gone = blob_reference("0" * 64, "gone.png")
    rows = [
        a_row({"img": first, "several": [first, second]}),
        a_row({"img": "paths/stay.png", "several": None}),
        a_row({"img": gone, "several": [gone]}),
        a_row({"img": None, "several": []}),
    ]
    cells = [
        {"bytes": one, "path": "my cat.png"},
        {"bytes": None, "path": "paths/stay.png"},
        {"bytes": None, "path": gone},
        None,
    ]
    several = [[cells[0], {"bytes": two, "path": None}], None, [cells[2]], []]
    export(rows, tmp_path / "out.parquet", blobs=blobs)
    found = parquet_rows(tmp_path / "out.parquet")
    assert [row["img"] for row in found] == cells
    assert [row["several"] for row in found] == several
    export(rows[:1], tmp_path / "pairs", file_format="hf", blobs=blobs)
    loaded = data_set(tmp_path / "pairs")
    assert isinstance(loaded.features["img"], datasets.Image)
    assert loaded[0]["img"].getpixel((0, 0)) == (1, 0, 0)
    assert [image.getpixel((0, 0)) for image in loaded[0]["several"]] == [(1, 0, 0), (2, 0, 0)]
    export(rows, tmp_path / "out.jsonl", blobs=blobs)
    assert [row["img"] for row in read_json(tmp_path / "out.jsonl")] == [first, "paths/stay.png", gone, None]


def test_a_column_with_more_than_references_keeps_its_blobs_as_text(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    reference = blob_reference(blobs.put(png(1)))
    export([a_row({"x": reference}), a_row({"x": 5})], tmp_path / "out.parquet", blobs=blobs)
    assert [row["x"] for row in parquet_rows(tmp_path / "out.parquet")] == [reference, "5"]


def test_large_images_are_not_in_memory_together(tmp_path: Path) -> None:
    class Large:
        def get(self, digest: str, *, max_bytes: int) -> bytes:
            assert int(digest, 16) < max_bytes
            return bytes(4 * 2**20)

    rows = (a_row({"image": blob_reference(f"{number:064x}")}) for number in range(60))
    tracemalloc.start()
    try:
        export(rows, tmp_path / "out.parquet", blobs=Large())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100 * 2**20


columns = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6).filter(
        lambda name: name not in ("out", "image", "conversation")
    ),
    st.sampled_from([st.integers(-(2**53), 2**53), st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                     st.booleans(), st.lists(st.integers(0, 9), min_size=1, max_size=3)]),
    max_size=4,
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_typed_columns_come_back_as_they_went(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kinds = data.draw(columns)
    count = data.draw(st.integers(1, 4))
    records: list[dict[str, Any]] = [
        {"image": "a", **{name: data.draw(st.one_of(st.none(), kind)) for name, kind in kinds.items()}}
        for _ in range(count)
    ]
    folder = tmp_path_factory.mktemp("out")
    rows = [a_row(record) for record in records]
    expected = [exported_record(row, "out") for row in rows]
    # A column of nothing but null has no type of its own; it comes back as null all the same.
    export(rows, folder / "out.parquet")
    assert parquet_rows(folder / "out.parquet") == expected
    export(rows, folder / "pairs", file_format="hf")
    assert list(data_set(folder / "pairs")) == expected
