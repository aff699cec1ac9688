"""Exporters: the record as given, with prompt and answer."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.errors import InputError
from persqa.prompts import human_turn
from persqa.store.queries import PairRow
from producer.exporters import export, exported_record
from tests.support.builders import MAM
from tests.unit.test_records import json_values

field_names = st.text(max_size=6).filter(lambda name: name not in ("out", "record", "image", "conversation"))

PROMPT = human_turn(MAM, "Who is <mam>?")


def a_row(record: JsonValue, *, answer: str | None = "<mam> smiles.", question: str = "Who is <mam>?") -> PairRow:
    return PairRow(
        item_id=1, position=0, slot=0, record=json.dumps(record), image="a", tag=MAM if question else "", topic="",
        question=question, status="ok" if answer else "invalid", reason=None, detail=None, answer=answer, rung=None,
        forced=None, generations=None, prompt_tokens=None, output_tokens=None, worker=None, model=None,
    )  # fmt: skip


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


@settings(max_examples=50)
@given(
    extras=st.lists(
        st.dictionaries(st.text(max_size=6).filter(lambda name: name != "out"), json_values, max_size=3), max_size=5
    )
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_comes_back_as_it_went(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, extras: list[dict[str, JsonValue]]
) -> None:
    path = tmp_path_factory.mktemp("out") / f"out{suffix}"
    rows = [a_row({"image": "a", **extra}) for extra in extras]
    assert export(rows, path, output_key="out") == len(rows)
    text = path.read_text("utf-8")
    found = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.split("\n") if line]
    assert json.dumps(found) == json.dumps([exported_record(row, "out") for row in rows])


def test_parquet_types_its_columns_and_falls_back_to_text(tmp_path: Path) -> None:
    rows = [
        a_row({"image": ["a"], "n": 1, "mixed": 1, "half": "\ud800", "empty": {}}),
        a_row({"image": ["b", "c"], "n": 2, "mixed": "x", "late": 0.5}, answer=None),
    ]
    path = tmp_path / "out.parquet"
    export(rows, path, output_key="out")
    found = pq.read_table(path).to_pylist()  # pyright: ignore[reportUnknownMemberType]
    assert [row["image"] for row in found] == [["a"], ["b", "c"]]
    assert [row["n"] for row in found] == [1, 2]
    assert [row["mixed"] for row in found] == ["1", "x"]
    assert [row["late"] for row in found] == [None, 0.5]
    assert [row["out"] for row in found] == ["<mam> smiles.", None]
    assert found[0]["half"] == "\ufffd"
    assert found[0]["conversation"] == [{"from": "human", "value": PROMPT}]


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
