"""Standard input: read once, put aside, and gone when the reader is."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from persqa.errors import InputError
from persqa.reasons import Reason
from tests.support.reading import opened, values


@dataclass
class Input:
    buffer: io.BytesIO


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", Input(buffer))
    return buffer


def give(typed: io.BytesIO, content: bytes) -> None:
    typed.write(content)
    typed.seek(0)


def test_lines_are_read_as_often_as_asked_for_and_the_copy_is_removed(
    typed: io.BytesIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    give(typed, b'{"image": "a"}\nbroken\n')
    reader = opened("-")
    assert list(tmp_path.glob("persqa-*")) == []
    first, second = list(reader), list(reader)
    assert [raw.value for raw in first] == [{"image": "a"}, "broken"] == [raw.value for raw in second]
    assert [raw.error and raw.error.reason for raw in first] == [None, Reason.NOT_JSON]
    assert len(list(tmp_path.glob("persqa-*"))) == 1
    del reader
    assert list(tmp_path.glob("persqa-*")) == []


def test_another_format_is_named(typed: io.BytesIO) -> None:
    give(typed, b"image\na\n")
    assert values(opened("-", input_format="csv")) == [{"image": "a"}]


def test_messages_speak_of_standard_input_and_not_of_the_copy(typed: io.BytesIO) -> None:
    give(typed, b"{}")
    with pytest.raises(InputError, match=r"^standard input: expected a JSON array"):
        list(opened("-", input_format="json"))


@pytest.mark.parametrize("name", ["images", "hf", "xml", "csv.rar", "csv.gz.zst"])
def test_what_is_no_single_file_cannot_come_that_way(name: str) -> None:
    with pytest.raises(InputError, match="standard input can be json, jsonl, csv, tsv, parquet or tar"):
        opened("-", input_format=name)


def test_parquet_comes_unpacked(typed: io.BytesIO) -> None:
    with pytest.raises(InputError, match="unpack it first"):
        opened("-", input_format="parquet.gz")
    assert typed.tell() == 0
