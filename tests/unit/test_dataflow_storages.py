"""FileStorage: what goes in comes out, in every format, and one operator's output is the next one's input."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.dataflow import DataFlowStorage, FileStorage
from tests.support.servings import storage

ROWS = [
    {"id": "007", "image": ["a.png", "b.png"], "conversation": [{"from": "human", "value": "ä"}], "date": "2024-01-02"},
    {"id": "008", "image": ["c.png"], "conversation": [{"from": "human", "value": "穿"}], "date": "3"},
]


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "pickle"])
def test_records_come_back_as_they_were_written(tmp_path: Path, kind: str) -> None:
    made = storage(tmp_path, kind, allow_pickle=True)
    assert made.write(ROWS) == str(tmp_path / "cache" / f"p_step1.{kind}")
    made.step()
    assert made.read("dict") == ROWS
    assert made.get_keys_from_dataframe() == ["id", "image", "conversation", "date"]
    assert made.read("dataframe")["id"].tolist() == ["007", "008"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"p_step1.{kind}"]


def test_csv_holds_lists_as_json_and_text_as_it_is(tmp_path: Path) -> None:
    made = storage(tmp_path, "csv")
    made.write([*ROWS, {"id": "", "image": None}])
    made.step()
    found = made.read("dict")
    assert [row["id"] for row in found] == ["007", "008", ""]
    assert json.loads(found[0]["image"]) == ["a.png", "b.png"]
    assert made.read("dataframe")["id"].tolist()[:2] == [7, 8]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet", "pickle"])
def test_a_data_frame_is_written_as_pandas_does(tmp_path: Path, kind: str) -> None:
    import pandas as pd

    rows = [{"n": 1, "text": "a"}, {"n": 2, "text": "b"}]
    made = storage(tmp_path, kind, allow_pickle=True)
    made.write(pd.DataFrame(rows))
    made.step()
    assert made.read().to_dict(orient="records") == rows


def test_json_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(ROWS))
    frame = storage(tmp_path, "json", str(tmp_path / "in.json")).read("dataframe")
    assert frame["id"].tolist() == ["007", "008"]
    assert frame["date"].tolist() == ["2024-01-02", "3"]


def test_a_pickle_file_is_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    import pandas as pd

    marker = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(marker),)

    path = tmp_path / "in.pickle"
    path.write_bytes(pickle.dumps(Trap()))
    for output in ("dataframe", "dict"):
        with pytest.raises(ValueError, match="allow_pickle=True"):
            storage(tmp_path, "pickle", str(path)).read(output)
    assert not marker.exists()
    path.write_bytes(pickle.dumps(pd.DataFrame(ROWS)))
    assert storage(tmp_path, "pickle", str(path), allow_pickle=True).read("dict") == ROWS


def test_steps_go_on_and_a_storage_that_was_handed_out_stays_where_it_was(tmp_path: Path) -> None:
    made = FileStorage("x.json", cache_path=str(tmp_path), file_name_prefix="p", cache_type="jsonl")
    for use in (made.read, lambda: made.write([])):
        with pytest.raises(ValueError, match=r"call step\(\)"):
            use()
    first = made.step()
    second = made.step()
    first.write([{"n": 1}])
    second.write([{"n": 2}])
    assert made.read("dict") == [{"n": 1}]
    assert made.reset() is made
    assert made.operator_step == -1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p_step1.jsonl", "p_step2.jsonl"]
    assert isinstance(made, DataFlowStorage)


def test_defaults_are_those_of_the_original() -> None:
    made = FileStorage("x.json")
    assert (made.cache_path, made.file_name_prefix, made.cache_type) == ("./cache", "dataflow_cache_step", "jsonl")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", '{"image": 1}', "expected a JSON array of objects"),
        ("a.json", "[1]", "expected a JSON array of objects"),
        ("a.json", "[", "cannot be read"),
        ("a.jsonl", '{"a": 1}\n\n{', "line 3 is not valid JSON"),
        ("a.jsonl", "[1]\n", "line 1 is not an object"),
        ("a.parquet", "no", "cannot be read"),
        ("a.xml", "", "use one of .json"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        storage(tmp_path, "json", str(path)).read("dict")
    assert name in str(caught.value)


@pytest.mark.parametrize("source", ["{}", "{}:train", "{}:default:train"])
def test_a_data_set_of_the_hub_is_named_with_its_configuration_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    folder = tmp_path / "portraits"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"image": ["a.png"], "n": 1}\n{"image": ["b.png"], "n": 2}\n')
    found = storage(tmp_path, "json", "hf:" + source.format(folder))
    assert list(found.read("dataframe")["n"]) == [1, 2]
    assert [list(row["image"]) for row in found.read("dict")] == [["a.png"], ["b.png"]]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'xml' is none of json"):
        storage(tmp_path, "xml")
    made = storage(tmp_path, "json", str(tmp_path / "none.json"))
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        made.read()
    with pytest.raises(ValueError, match="neither 'dataframe' nor 'dict'"):
        made.read("list")  # pyrefly: ignore[bad-argument-type]
    for data in ("text", [1], None):
        with pytest.raises(ValueError, match="expected a DataFrame"):
            made.write(data)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    made = storage(tmp_path, "jsonl")
    made.write([{"n": 1}])

    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.write([{"n": 2}, Broken()])
    made.step()
    assert made.read("dict") == [{"n": 1}]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["p_step1.jsonl"]


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    first = tmp_path / "p_step1.jsonl"
    first.write_text('{"id": "007"}\n')
    made = FileStorage(str(first), cache_path=str(tmp_path), file_name_prefix="p").step()
    with pytest.raises(ValueError, match=r"p_step1\.jsonl is the input itself: choose another"):
        made.write(ROWS)
    assert made.read("dict") == [{"id": "007"}]


def test_values_of_the_libraries_become_ordinary_ones_and_bytes_go_to_parquet(tmp_path: Path) -> None:
    import pandas as pd

    made = storage(tmp_path, "jsonl")
    row: dict[str, Any] = {"at": dt.date(2024, 1, 2), "n": pd.Series([3]).iloc[0]}
    made.write([row])
    made.step()
    assert made.read("dict") == [{"at": "2024-01-02", "n": 3}]
    image = {"image": {"bytes": b"\xff", "path": "a.png"}, "mixed": 1, "empty": {}}
    for kind in ("json", "jsonl", "csv"):
        with pytest.raises(ValueError, match="record 2, field 'image': bytes has no place in JSON; Parquet has"):
            storage(tmp_path, kind).write([row, image])
    parquet = storage(tmp_path, "parquet")
    parquet.write([image, {"image": None, "mixed": "x"}])
    parquet.step()
    assert parquet.read("dict") == [
        {"image": image["image"], "mixed": "1", "empty": "{}"},
        {"image": None, "mixed": "x", "empty": None},
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), max_size=4))
@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_any_json_comes_back(tmp_path_factory: pytest.TempPathFactory, kind: str, rows: list[dict[str, Any]]) -> None:
    made = storage(tmp_path_factory.mktemp("storage"), kind)
    made.write(rows)
    made.step()
    assert made.read("dict") == rows
