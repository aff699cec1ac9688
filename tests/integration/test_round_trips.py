"""Every format gives the same thousand records back, and again when it is read again."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.blobs import BlobStore
from producer.readers.base import Reader
from tests.support.reading import opened, values
from tests.support.thousand import (
    EXACT,
    TEXTUAL,
    Record,
    as_data_set,
    cell_text,
    picture,
    reference,
    thousand,
    write_shards,
)

UNDERSTOOD = ("image", "conversation")


def as_text(record: Record) -> Record:
    """What a format that knows only text keeps of a record."""
    return {
        name: value if name in UNDERSTOOD and isinstance(value, list) else cell_text(value)
        for name, value in record.items()
    }


def read_twice(reader: Reader) -> list[JsonValue]:
    first = values(reader)
    assert values(reader) == first
    return first


@pytest.mark.parametrize("name", EXACT)
def test_a_format_with_types_gives_the_thousand_back(tmp_path: Path, name: str) -> None:
    path = EXACT[name](tmp_path, thousand())
    reader = opened(path)
    assert read_twice(reader) == thousand()
    assert reader.name == "thousand"
    assert reader.base == (path if path.is_dir() else tmp_path)


@pytest.mark.parametrize("name", TEXTUAL)
def test_a_format_of_text_gives_the_thousand_back_as_text(tmp_path: Path, name: str) -> None:
    reader = opened(TEXTUAL[name](tmp_path, thousand()))
    assert read_twice(reader) == [as_text(record) for record in thousand()]
    assert (reader.name, reader.base) == ("thousand", tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_shards_give_the_thousand_back_with_their_pictures(tmp_path: Path, packed: bool) -> None:
    reader = opened(write_shards(tmp_path, thousand(), packed=packed))
    expected = [
        {"__key__": f"{index:06}", **record, "image": f"{reference(index)}/{index:06}.png"}
        for index, record in enumerate(thousand())
    ]
    assert read_twice(reader) == expected
    store = BlobStore("blobs")
    assert [store.get(reference(index)[5:], max_bytes=1000) for index in (0, 999)] == [picture(0), picture(999)]


def test_a_data_set_gives_its_pictures_as_blobs(tmp_path: Path) -> None:
    import datasets

    cells: list[JsonValue] = [{"bytes": None, "path": "x.png"} for _ in range(1000)]
    given = as_data_set([{**record, "image": cell} for record, cell in zip(thousand(), cells, strict=True)])
    column = [{"bytes": picture(index), "path": f"{index}.png"} for index in range(1000)]
    given = given.remove_columns("image").add_column("image", column).cast_column("image", datasets.Image())
    given.save_to_disk(str(tmp_path / "set"))
    given.to_parquet(str(tmp_path / "set.parquet"))
    expected = [{**record, "image": f"{reference(index)}/{index}.png"} for index, record in enumerate(thousand())]
    assert read_twice(opened(tmp_path / "set")) == expected
    assert read_twice(opened(tmp_path / "set.parquet")) == expected


def test_the_thousand_come_through_memory_and_through_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_twice(opened(thousand())) == thousand()
    for name in ("json", "jsonl", "parquet", "jsonl.zst"):
        (tmp_path / name).mkdir()
        content = EXACT[name](tmp_path / name, thousand()).read_bytes()
        monkeypatch.setattr(sys, "stdin", Input(io.BytesIO(content)))
        reader = opened("-", input_format=name)
        assert read_twice(reader) == thousand()
        assert (reader.name, reader.base) == ("stdin", Path.cwd())


@dataclass
class Input:
    buffer: io.BytesIO


def test_a_thousand_pictures_are_listed_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for index in range(1000):
        path = tmp_path / f"{index % 7}" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    paths = sorted(f"{index % 7}/{index}.png" for index in range(1000))
    assert read_twice(opened(tmp_path)) == [{"image": path} for path in paths]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
columns = {
    "image": texts,
    "number": st.integers(-(2**63), 2**63 - 1) | st.none(),
    "score": st.floats(allow_nan=False, width=64) | st.none(),
    "words": st.lists(texts, max_size=3),
    "nested": st.fixed_dictionaries({"a": st.booleans(), "b": texts | st.none()}),
}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=5))
def test_whatever_the_values_are_all_formats_agree(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    for name in ("json", "jsonl.zst", "parquet", "hugging face"):
        assert values(opened(EXACT[name](tmp_path_factory.mktemp("agree"), records))) == records, name


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(texts, min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_text_comes_back_from_a_cell(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    records: list[Record] = [{"image": "a", "b": b, "c": c, "d": d} for b, c, d in rows]
    assert values(opened(TEXTUAL["csv.gz"](tmp_path_factory.mktemp("cells"), records))) == records
