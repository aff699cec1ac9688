"""JSON in a file, JSON on lines, and records in memory: what stands there, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.blobs import BlobStore
from persqa.errors import InputError
from persqa.reasons import Reason
from producer.readers import json_array
from tests.support.reading import opened, write
from tests.support.thousand import picture, reference
from tests.unit.test_records import json_values


def test_json_lines_and_a_json_array_give_the_same_records(tmp_path: Path) -> None:
    records: list[JsonValue] = [
        {"image": "a", "big": 12345678901234567890123, "f": 1.1, "nan": float("inf")},
        {"text": "nul \0, half \ud800, ü", "none": None, "nested": [[{}], {"a": [1]}]},
        5,
    ]
    lines = write(tmp_path, "a.jsonl", "\n".join(json.dumps(record) for record in records).encode())
    array = write(tmp_path, "a.json", json.dumps(records, indent=2).encode())
    assert [raw.value for raw in opened(lines)] == records == [raw.value for raw in opened(array)]
    assert [raw.place for raw in opened(lines)] == ["line 1", "line 2", "line 3"]
    assert opened(array).base == tmp_path
    assert opened(array).name == "a"


def test_a_broken_line_harms_only_itself_and_keeps_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", b'{"a": 1}\n\n{"a": \n\xff\xfe\n' + b"[" * 100_000 + b'\n{"a": 2}\n')
    found = list(opened(path))
    assert [raw.place for raw in found] == ["line 1", "line 3", "line 4", "line 5", "line 6"]
    assert [raw.error.reason if raw.error else None for raw in found] == [None, *[Reason.NOT_JSON] * 3, None]
    assert found[1].value == '{"a": '
    assert found[2].value == r"\xff\xfe"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path: Path, name: str) -> None:
    content = b'[{"a": 1}]' if name == "a.json" else b'{"a": 1}'
    assert [raw.value for raw in opened(write(tmp_path, name, b"\xef\xbb\xbf" + content))] == [{"a": 1}]


def test_blank_lines_are_counted_and_a_mark_is_taken_off_where_files_were_joined(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\n\n\xef\xbb\xbf{"a": 2}\r\n \n\xef\xbb\xbf\n'
    reader = opened(write(tmp_path, "a.jsonl", content))
    for _ in range(2):
        assert [raw.value for raw in reader] == [{"a": 1}, {"a": 2}]
        assert [(one.kind, one.number, one.example) for one in reader.passed] == [("blank line", 3, "line 2")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a JSON array, and the file is empty"),
        (b'{"a": 1}', "expected a JSON array"),
        (b'[{"a": 1}', "comma or the array's end after record 1"),
        (b'[{"a": 1} {"a": 2}]', "comma or the array's end after record 1"),
        (b'[{"a": 1},]', "record 2 is not valid JSON"),
        (b'[{"a": 1}, {"a": ]', "record 2 is not valid JSON"),
        (b'[{"a": "unterminated]', "record 1 is not valid JSON"),
        (b"[1] 2", "text after the array's end"),
        (b'["\xff"]', "utf-8"),
    ],
)
def test_a_broken_array_is_refused_as_a_whole_and_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(opened(write(tmp_path, "a.json", content)))


@settings(max_examples=300)
@example(records=[0.0], chunk=1, indent=None)
@example(records=[-1.5e300, None], chunk=2, indent=1)
@given(records=st.lists(json_values, max_size=8), chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]))
def test_an_array_is_the_same_in_whatever_chunks_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[JsonValue], chunk: int, indent: int | None
) -> None:
    path = write(tmp_path_factory.getbasetemp(), "chunks.json", json.dumps(records, indent=indent).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK_CHARACTERS", chunk)
        found = [raw.value for raw in opened(path)]
    assert json.dumps(found) == json.dumps(records)


@pytest.mark.parametrize("name", ["missing.json", "a.xml", "."])
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        list(opened(tmp_path / name))


def test_records_in_memory_may_hold_what_json_does_not_know() -> None:
    reader = opened([{"image": picture(0), "taken": dt.date(2024, 1, 2)}])
    assert [raw.value for raw in reader] == [{"image": reference(0), "taken": "2024-01-02"}]
    assert BlobStore("blobs").get(reference(0)[5:], max_bytes=1000) == picture(0)


def test_records_of_a_program_are_put_aside_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.readers.memory._HELD_BYTES", 100)
    records = [{"image": f"{number}.png", "text": "a\nb"} for number in range(50)]
    reader = opened(iter(records))
    assert [raw.value for raw in reader] == [raw.value for raw in reader] == records


def test_records_in_memory_are_copied_and_must_be_json() -> None:
    record: dict[str, object] = {"image": "a"}
    reader = opened([record])
    record["image"] = "b"
    assert [raw.value for raw in reader] == [{"image": "a"}]
    with pytest.raises(InputError, match="record 1 is not JSON: it holds a value of the type object"):
        opened([{"image": object()}])
