"""Exporters: the record as given, with prompt and answer."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.errors import InputError
from persqa.pairs import Broken, PairRow
from persqa.policies import Rung
from persqa.results import Status
from persqa.verdicts import ViolationKind
from producer.exporters.drafts import draft_file, draft_folder
from producer.exporters.shapes import Pair, Shape, exported_record
from tests.support.exporting import PROMPT, a_row, data_set, export, parquet_rows, read_json
from tests.unit.test_records import json_values

field_names = st.text(max_size=6).filter(lambda name: name not in ("out", "record", "image", "conversation"))


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
    record: dict[str, JsonValue] = {"image": 5, "conversation": "?"}
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


def test_an_unknown_suffix_is_refused_and_a_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suffix"):
        export([], tmp_path / "out.xml", output_key="out")
    path = tmp_path / "out.json"
    path.write_text("old")

    def broken() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export((broken() for _ in range(1)), path, output_key="out")  # pyrefly: ignore[bad-argument-type]
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["out.json"]


def test_a_field_of_the_input_is_never_replaced_by_the_answer() -> None:
    with pytest.raises(InputError, match="has a field 'image' itself"):
        exported_record(a_row({"image": "a"}), "image")


def test_nan_stays_nan(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    export([a_row({"image": "a", "x": float("nan")})], path, output_key="out")
    assert math.isnan(json.loads(path.read_text())["x"])


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


def test_two_exports_of_one_name_at_once_are_both_whole_and_the_last_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with draft_file(path) as first:
        first.write_text("first, ")
        with draft_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        with first.open("a") as file:
            file.write("and last")
    assert path.read_text() == "first, and last"
    folder = tmp_path / "pairs"
    with draft_folder(folder) as first:
        (first / "dataset_info.json").write_text("1")
        with draft_folder(folder) as second:
            (second / "dataset_info.json").write_text("2")
        assert (folder / "dataset_info.json").read_text() == "2"
    assert (folder / "dataset_info.json").read_text() == "1"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["out.jsonl", "pairs"]


def test_many_exports_of_one_folder_at_once_harm_none(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def write(number: int) -> None:
        start.wait()
        for _ in range(20):
            with draft_folder(tmp_path / "pairs") as draft:
                (draft / "dataset_info.json").write_text(str(number))

    with ThreadPoolExecutor(4, thread_name_prefix="test") as threads:
        for future in [threads.submit(write, number) for number in range(4)]:
            future.result()
    assert (tmp_path / "pairs" / "dataset_info.json").read_text() in "0123"
    assert [found.name for found in tmp_path.iterdir()] == ["pairs"]


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
        "review": None,
        "starred": False,
        "note": None,
        "reviewer": None,
        "model_answer": None,
        "flags": [],
        "logprob_mean": None,
        "logprob_min": None,
        "logprob_min_token": None,
    }
    noncompliant = dataclasses.replace(row, status=Status.NONCOMPLIANT, reason="late_tag")
    invalid = dataclasses.replace(row, status=Status.INVALID, reason="not_found", answer=None)
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
    with pytest.raises(InputError, match="leave out with_meta"):
        list(Shape(with_meta=True).records([Pair(row=a_row({"image": "a", "persqa": 1}))]))


def at(position: int, slot: int, record: JsonValue, **changes: Any) -> PairRow:
    row = a_row(record, question=f"Question {slot} about <mam>?", answer=f"<mam> is {position}-{slot}.")
    return dataclasses.replace(row, position=position, slot=slot, **changes)


def test_a_dialogue_has_all_questions_about_a_record_and_its_images_once_in_lists_if_one_has_several(
    tmp_path: Path,
) -> None:
    one: JsonValue = {"id": 7, "image": "a.png", "conversation": [{"from": "system", "value": "Be brief."}], "x": 1}
    two: JsonValue = {"image": ["b.png", "c.png"]}
    rows = [at(0, 0, one), at(0, 1, one), at(1, 0, two, answer=None), at(1, 1, two), at(2, 0, {"image": None}),
            at(3, 0, "not json", answer=None)]  # fmt: skip
    export(rows, tmp_path / "out.json", chat=True)
    assert read_json(tmp_path / "out.json") == [
        {
            "id": "7",
            "image": ["a.png"],
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
