"""What a survey puts aside comes back as it was; there must be room for it, and the input must keep still meanwhile."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa import records
from persqa.blobs import BlobStore
from persqa.errors import InputError
from persqa.questions import load_pool
from persqa.records import RawRecord, RecordLimits, json_text, parse_record
from persqa.runs import RunId, parse_options
from persqa.tags import Tag
from persqa.urls import scheme_of
from producer import checked
from producer.checked import CheckedRecord, CheckedRecords
from producer.itemizing import Itemizer
from producer.readers import part_of
from producer.readers.base import Reader
from producer.survey import drafts, survey
from tests.support.reading import opened
from tests.unit.test_records import json_values

if TYPE_CHECKING:
    from collections.abc import Generator


@given(json_values)
@example({"big": 10**30, "nan": float("inf"), "half": "\ud800", "nul": "\0", "twice": [1.10, -0.0, 1e400]})
def test_a_record_is_written_as_the_standard_library_writes_it(value: JsonValue) -> None:
    assert json_text(value) == json.dumps(value)


@given(st.from_regex(records._SHORT_PATH, fullmatch=True))
def test_a_path_that_is_taken_at_a_glance_is_one_that_nothing_else_would_refuse(path: str) -> None:
    assert scheme_of(path) == ""
    in_a_list = RawRecord(place="line 1", value={"image": [path]})
    at_a_glance = RawRecord(place="line 1", value={"image": path})
    assert parse_record(at_a_glance, max_images=1) == parse_record(in_a_list, max_images=1)


CHECKED: list[CheckedRecord] = [
    ('{"image": "a.png"}', ("a.png", "\xfc.png"), None, ""),
    ('"\\ud800"', "not_json", "line 2: \ud800 \0"),
    ("{}", (), Tag("<bob>"), 5000 * "long \udcff "),
]


@pytest.mark.parametrize("held", [1, 2**20])
def test_what_is_put_aside_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(checked, "_HELD_BYTES", held)
    kept = CheckedRecords()
    for chunk in (CHECKED[:2], CHECKED[2:]):
        kept.put(chunk)
    kept.end()
    for _ in range(2):
        assert list(kept.chunks()) == [CHECKED[:2], CHECKED[2:]]


def test_without_room_the_survey_says_so_and_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checked, "_HELD_BYTES", 1)
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"image": f"{number}.png"}) + "\n" for number in range(5000)))
    with room_for(4096), pytest.raises(InputError, match=r"cannot be put aside in .*: File too large; set TMPDIR"):
        survey(opened(data), itemizer(tmp_path), "data")


@contextmanager
def room_for(size: int) -> Generator[None]:
    """No file may become larger; the system says so as it says that a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def itemizer(folder: Path) -> Itemizer:
    return Itemizer(
        options=parse_options(),
        pool=load_pool("human"),
        limits=RecordLimits(),
        base=str(folder),
        blobs=BlobStore(folder / "blobs"),
    )


@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("pattern", ["data.jsonl", "dat*.jsonl"])
def test_a_file_that_is_still_written_is_refused_unless_only_its_beginning_is_wanted(
    tmp_path: Path, limit: int | None, pattern: str
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"image": "a.png"}\n' * 3)
    whole = opened(tmp_path / pattern)
    growing = part_of(Growing(whole, data), limit=limit, sample=None, seed=0)
    if limit is None:
        with pytest.raises(InputError, match="has changed while it was read"):
            survey(growing, itemizer(tmp_path), "data")
        return
    found = survey(growing, itemizer(tmp_path), "data")
    ((items, wrong),) = drafts(growing, RunId(1), itemizer(tmp_path), found)
    assert ([item.position for item in items], wrong) == ([0, 1], [])


class Growing:
    """An input that gets another line with each record that is read."""

    def __init__(self, reader: Reader, file: Path) -> None:
        self.name, self.base, self.passed = reader.name, reader.base, reader.passed
        self.fields, self.edition = reader.fields, reader.edition
        self._reader, self._file = reader, file

    def __iter__(self) -> Generator[RawRecord]:
        for raw in self._reader:
            with self._file.open("a") as file:
                file.write('{"image": "b.png"}\n')
            yield raw
            if self._file.stat().st_size > 1000:
                return
