"""Exporters: the record as given, with prompt and answer, in every format there is."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import math
import threading
import tracemalloc
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import JsonValue

from persqa.blobs import BlobStore, blob_reference
from persqa.errors import InputError
from persqa.pairs import Broken, PairRow
from persqa.policies import Rung
from persqa.prompts import human_turn
from persqa.results import Status
from persqa.verdicts import ViolationKind
from producer.exporters import choose_format, write_records
from producer.exporters.images import Blobs
from producer.exporters.shapes import Pair, Shape, exported_record
from tests.support.builders import MAM
from tests.unit.test_records import json_values

field_names = st.text(max_size=6).filter(lambda name: name not in ("out", "record", "image", "conversation"))

PROMPT = human_turn(MAM, "Who is <mam>?")


def a_row(record: JsonValue, *, answer: str | None = "<mam> smiles.", question: str = "Who is <mam>?") -> PairRow:
    return PairRow(
        item_id=1, position=0, slot=0, record=json.dumps(record), image="a", tag=MAM if question else "", topic="",
        question=question, status=Status.OK if answer else Status.INVALID, reason=None, detail=None, answer=answer,
        rung=None, forced=None, generations=None, prompt_tokens=None, output_tokens=None, worker=None, model=None,
    )  # fmt: skip


def export(
    rows: Iterable[PairRow], path: Path, *, file_format: str | None = None, blobs: Blobs | None = None, **shape: Any
) -> int:
    options: dict[str, Any] = {"output_key": "out", **shape}
    records = Shape(**options).records(Pair(row=row) for row in rows)
    return write_records(records, path, file_format=choose_format(path, file_format), blobs=blobs)


def parquet_rows(path: Path) -> list[Any]:
    return pq.read_table(path).to_pylist()  # pyright: ignore[reportUnknownMemberType]


def data_set(path: Path) -> Any:
    return datasets.load_from_disk(str(path))  # pyright: ignore[reportUnknownMemberType]


def read_json(path: Path) -> list[Any]:
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            data = gzip.decompress(data)
        case ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read()
        case _:
            pass
    text = data.decode()
    return json.loads(text) if ".json" in path.suffixes else [json.loads(line) for line in text.split("\n") if line]


def test_everything_but_the_prompt_and_the_answer_is_as_it_came() -> None:
    record: JsonValue = {
        "image": ["a.png"],
        "id": 7,
        "conversation": [{"from": "human", "value": ""}],
        "x": {"y": None},
    }
    assert exported_record(a_row(record), "pers_qa") == {
        "image": ["a.png"],
        "id": 7,
        "conversation": [{"from": "human", "value": PROMPT}],
        "x": {"y": None},
        "pers_qa": "<mam> smiles.",
    }


@pytest.mark.parametrize("value", ["a broken line", 5, None, [1]])
def test_what_was_no_object_is_not_dropped(value: JsonValue) -> None:
    assert exported_record(a_row(value, answer=None, question=""), "out") == {"record": value, "out": None}


def test_a_wrong_record_keeps_its_conversation() -> None:
    record: JsonValue = {"image": 5, "conversation": "?"}
    assert exported_record(a_row(record, answer=None, question=""), "out") == {**record, "out": None}


@settings(max_examples=20, deadline=None)
@given(
    extras=st.lists(
        st.dictionaries(st.text(max_size=6).filter(lambda name: name != "out"), json_values, max_size=3), max_size=5
    )
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst"])
def test_json_comes_back_as_it_went(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, extras: list[dict[str, JsonValue]]
) -> None:
    path = tmp_path_factory.mktemp("out") / f"out{suffix}"
    rows = [a_row({"image": "a", **extra}) for extra in extras]
    assert export(rows, path, output_key="out") == len(rows)
    assert json.dumps(read_json(path)) == json.dumps([exported_record(row, "out") for row in rows])


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


def test_an_unknown_suffix_is_refused_and_a_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suffix"):
        export([], tmp_path / "out.xml", output_key="out")
    path = tmp_path / "out.json"
    path.write_text("old")

    def broken() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export((broken() for _ in range(1)), path, output_key="out")  # pyright: ignore[reportArgumentType]
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["out.json"]


def test_a_field_of_the_input_is_never_replaced_by_the_answer() -> None:
    with pytest.raises(InputError, match="has a field 'image' itself"):
        exported_record(a_row({"image": "a"}), "image")


def test_nan_stays_nan(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    export([a_row({"image": "a", "x": float("nan")})], path, output_key="out")
    assert math.isnan(json.loads(path.read_text())["x"])


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


def test_an_export_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    for name in ("a.json", "a.jsonl", "a.csv", "a.parquet"):
        assert export([], tmp_path / name) == 0
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert parquet_rows(tmp_path / "a.parquet") == []
    with pytest.raises(InputError, match="no record to write"):
        export([], tmp_path / "a", file_format="hf")
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_no_data_set_is_not_replaced_and_a_failed_export_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with pytest.raises(InputError, match="something else"):
        export([a_row({"image": "a"})], tmp_path / "photos", file_format="hf")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        export([a_row({"image": "a"})], tmp_path / "file", file_format="hf")
    export([a_row({"image": "a"})], tmp_path / "pairs", file_format="hf")
    with pytest.raises(InputError, match="'out' itself"):
        export([a_row({"image": "b"}), a_row({"image": "c", "out": 1})], tmp_path / "pairs", file_format="hf")
    assert data_set(tmp_path / "pairs")["image"][:] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pairs", "photos"]


def png(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def test_images_of_the_blob_store_are_bytes_again_where_a_format_can_hold_them(tmp_path: Path) -> None:
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
    assert most(12_000) < most(3_000) + 2 * 2**20


def test_meta_says_how_an_answer_came_about(tmp_path: Path) -> None:
    row = dataclasses.replace(
        a_row({"image": "a"}), topic="who", rung=Rung.PREFILL, forced=True, generations=3, model="m", prompt_tokens=20,
        output_tokens=5,
    )  # fmt: skip
    broken = [
        Broken(rung=Rung.FREE, kind=ViolationKind.MISSING_TAG),
        Broken(rung=Rung.RESEED, kind=ViolationKind.LATE_TAG),
    ]
    (record,) = Shape(with_meta=True).records([Pair(row=row, broken=broken)])
    assert record["persqa"] == {
        "question": "Who is <mam>?",
        "topic": "who",
        "tag": "<mam>",
        "status": "ok",
        "reason": None,
        "detail": None,
        "verdict": "compliant",
        "violations": [{"rung": "free", "kind": "missing_tag"}, {"rung": "reseed", "kind": "late_tag"}],
        "rung": "prefill",
        "forced": True,
        "generations": 3,
        "model": "m",
        "prompt_tokens": 20,
        "output_tokens": 5,
    }
    noncompliant = dataclasses.replace(row, status="noncompliant", reason="late_tag")
    invalid = dataclasses.replace(row, status="invalid", reason="not_found", answer=None)
    for other, verdict in ((noncompliant, "late_tag"), (invalid, None)):
        (record,) = Shape(with_meta=True).records([Pair(row=other)])
        assert record["persqa"] is not None
        assert isinstance(record["persqa"], dict)
        assert record["persqa"]["verdict"] == verdict
    export([row, noncompliant, invalid], tmp_path / "out.parquet", with_meta=True)
    assert [found["persqa"]["verdict"] for found in parquet_rows(tmp_path / "out.parquet")] == [
        "compliant",
        "late_tag",
        None,
    ]
    with pytest.raises(InputError, match="leave out --with-meta"):
        list(Shape(with_meta=True).records([Pair(row=a_row({"image": "a", "persqa": 1}))]))


def at(position: int, slot: int, record: JsonValue, **changes: Any) -> PairRow:
    row = a_row(record, question=f"Question {slot} about <mam>?", answer=f"<mam> is {position}-{slot}.")
    return dataclasses.replace(row, position=position, slot=slot, **changes)


def test_a_dialogue_has_all_questions_about_a_record_and_its_images_once(tmp_path: Path) -> None:
    one: JsonValue = {"id": 7, "image": "a.png", "conversation": [{"from": "system", "value": "Be brief."}], "x": 1}
    two: JsonValue = {"image": ["b.png", "c.png"]}
    rows = [at(0, 0, one), at(0, 1, one), at(1, 0, two, answer=None), at(1, 1, two), at(2, 0, {"image": None}),
            at(3, 0, "not json", answer=None)]  # fmt: skip
    export(rows, tmp_path / "out.json", chat=True)
    assert read_json(tmp_path / "out.json") == [
        {
            "id": "7",
            "image": "a.png",
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "<image>\nQuestion 0 about <mam>?"},
                {"from": "gpt", "value": "<mam> is 0-0."},
                {"from": "human", "value": "Question 1 about <mam>?"},
                {"from": "gpt", "value": "<mam> is 0-1."},
            ],
        },
        {
            "id": "1",
            "image": ["b.png", "c.png"],
            "conversations": [
                {"from": "human", "value": "<image>\n<image>\nQuestion 1 about <mam>?"},
                {"from": "gpt", "value": "<mam> is 1-1."},
            ],
        },
        {
            "id": "2",
            "conversations": [
                {"from": "human", "value": "Question 0 about <mam>?"},
                {"from": "gpt", "value": "<mam> is 2-0."},
            ],
        },
    ]
    export(rows, tmp_path / "pairs", file_format="hf", chat=True, with_meta=True)
    loaded = data_set(tmp_path / "pairs")
    assert loaded["id"][:] == ["7", "1", "2"]
    assert [len(found) for found in loaded["persqa"]] == [2, 1, 1]


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    export([a_row({"image": "old"})], path)
    seen: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def rows() -> Iterable[PairRow]:
        yield a_row({"image": "new"})
        begun.set()
        assert go_on.wait(10)
        yield a_row({"image": "newer"})

    thread = threading.Thread(target=lambda: export(rows(), path), name="test-export")
    thread.start()
    assert begun.wait(10)
    seen = [record["image"] for record in read_json(path)]
    go_on.set()
    thread.join()
    assert (seen, [record["image"] for record in read_json(path)]) == (["old"], ["new", "newer"])


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
