"""Exports as inputs: what comes out of a run goes into the next one, with the same fields and the same pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.blobs import BlobStore, blob_reference, digest_of
from persqa.images import ImageLimits, read_image
from persqa.pairs import PairRow
from producer.exporters.shapes import exported_record
from producer.readers.base import Reader
from tests.support.answered import Answered, answered_below, picture
from tests.support.exporting import a_row, export, png
from tests.support.reading import opened, values
from tests.support.referring import data_uri
from tests.unit.test_records import json_values

FORMATS = {"out.json": None, "out.jsonl": None, "out.csv": None, "out.parquet": None, "out": "hf"}


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answered]:
    # A blob store of readers is in the folder one stands in.
    monkeypatch.chdir(tmp_path)
    with answered_below(tmp_path) as found:
        yield found


def fill(answered: Answered) -> list[list[str]]:
    """A run with references of every kind, alone and in lists; returns the digests of the pictures of each record."""
    store = BlobStore(answered.client.settings.blob_store)
    one, two, three, four = (png(shade) for shade in range(1, 5))
    (answered.data / "sub").mkdir()
    (answered.data / "sub" / "one picture.png").write_bytes(one)
    (answered.data / "http:").mkdir()
    (answered.data / "http:" / "two.png").write_bytes(two)
    kinds = {
        "sub/one picture.png": one,
        "./http:/two.png": two,
        str(answered.data / "sub" / "one picture.png"): one,
        (answered.data / "sub" / "one picture.png").as_uri(): one,
        blob_reference(store.put(three), "three.png"): three,
        data_uri(four): four,
    }
    alone = [*kinds]
    lists = [alone[:2], alone[2:4], alone[4:], alone[:1]]
    records: list[Any] = [{"image": found, "n": place} for place, found in enumerate([*alone, *lists])]
    answered.run(records)
    return [[digest_of(kinds[found])] for found in alone] + [
        [digest_of(kinds[part]) for part in found] for found in lists
    ]


def objects(path: Path) -> list[dict[str, JsonValue]]:
    return [record for record in values(opened(path)) if isinstance(record, dict)]


def digests(reader: Reader) -> list[list[str]]:
    """Those of the pictures of each record, in whatever form it refers to them."""
    limits, store = ImageLimits(roots=(Path("/"),), max_pixels=2**20, max_bytes=2**20), BlobStore("blobs")
    found: list[list[str]] = []
    for record in values(reader):
        given: Any = record["image"] if isinstance(record, dict) else None
        references: list[str] = [given] if isinstance(given, str) else given
        found.append([read_image(name, base=reader.base, limits=limits, blobs=store).digest for name in references])
    return found


@pytest.mark.parametrize("paths", ["relative", "absolute", "copy"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_pictures_of_an_export_are_those_of_the_run(answered: Answered, name: str, paths: str) -> None:
    pictures = fill(answered)
    assert answered.export(name, paths=paths, file_format=FORMATS[name]) == len(pictures)
    assert answered.left == []
    assert digests(opened(answered.out / name)) == pictures


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_over_an_export_has_the_same_records_and_pictures_again(answered: Answered, name: str) -> None:
    picture(answered.data / "a.png", 1)
    blob = blob_reference(BlobStore(answered.client.settings.blob_store).put(png(2)), "b.png")
    answered.run([{"image": "a.png", "id": "x"}, {"image": blob, "id": "y"}, {"image": "a.png", "id": "z"}])
    first = answered.out / name
    answered.export(name, paths=None, file_format=FORMATS[name])
    before = objects(first), digests(opened(first))
    Path("pool.txt").write_text("Who is {tag}?")
    run = answered.client.submit(first, run="again", pool="pool.txt")
    assert run.progress().pending == 3
    again = answered.data / "again" / name
    again.parent.mkdir()
    run.export(again, file_format=FORMATS[name], output_key="second")
    assert digests(opened(again)) == before[1]
    # Paths start elsewhere, and what is new has no answer yet.
    unlike = {"image", "second"}
    fields = [[(name, value) for name, value in record.items() if name not in unlike] for record in objects(again)]
    assert fields == [[(name, value) for name, value in record.items() if name not in unlike] for record in before[0]]


def reread(rows: list[PairRow], path: Path, **options: Any) -> list[Any]:
    export(rows, path, **options)
    return values(opened(path))


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether they are alike, NaN included."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=6).filter(
    lambda name: name not in ("out", "image", "conversation", "tag", "record")
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
flat = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(), texts, st.booleans())
#: For each field, one of which all its values are.
kinds = st.sampled_from([
    st.integers(-(2**63), 2**63 - 1), st.floats(), texts, st.booleans(), st.lists(st.integers(0, 9), max_size=3),
    st.lists(texts, max_size=3), st.fixed_dictionaries({"a": st.booleans(), "b": st.none() | texts}),
    st.lists(st.fixed_dictionaries({"a": st.none() | st.floats()}), max_size=2),
])  # fmt: skip
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(extras=st.lists(st.dictionaries(names, json_values, max_size=4), min_size=1, max_size=4))
@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.jsonl.gz", "out.json.zst"])
def test_json_gives_back_any_record(
    tmp_path_factory: pytest.TempPathFactory, name: str, extras: list[dict[str, JsonValue]]
) -> None:
    rows = [a_row({"image": "a", **extra}) for extra in extras]
    found = reread(rows, tmp_path_factory.mktemp("out") / name)
    assert same(found, [exported_record(row, "out") for row in rows])


@quick
@given(data=st.data())
@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_a_format_with_types_gives_back_fields_of_one_type(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    fields = data.draw(st.dictionaries(names, kinds, max_size=4))
    records: list[Any] = data.draw(
        st.lists(
            st.fixed_dictionaries({"image": texts, **{n: st.none() | kind for n, kind in fields.items()}}), min_size=1
        )
    )
    rows = [a_row(record) for record in records]
    found = reread(rows, tmp_path_factory.mktemp("out") / name, file_format=FORMATS[name])
    assert same(found, [exported_record(row, "out") for row in rows])


@quick
@given(records=st.lists(st.dictionaries(names, texts, min_size=1, max_size=4), min_size=1, max_size=4))
def test_csv_gives_back_text(tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, str]]) -> None:
    rows = [a_row({"image": "a", **record}) for record in records]
    found = reread(rows, tmp_path_factory.mktemp("out") / "out.csv")
    every = {name: "" for record in records for name in record}
    assert found == [{**every, **exported_record(row, "out")} for row in rows]
