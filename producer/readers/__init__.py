"""Readers turn an input into a stream of raw records; each format has its own, chosen by suffix or by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import SEED_COLUMNS, Columns
from persqa.words import option
from producer.readers.base import Reader, Reading
from producer.readers.cells import Cells
from producer.readers.hub import SCHEME, HubReader
from producer.readers.memory import MemoryReader
from producer.readers.opening import input_files, open_path, open_standard_input
from producer.readers.parts import part_of, records_of_whole

if TYPE_CHECKING:
    from persqa.blobs import BlobStore

__all__ = ["input_files", "input_path", "open_input", "part_of", "records_of_whole"]

_STANDARD_INPUT = "-"


def input_path(data: object) -> str | None:
    """An input as an absolute path or pattern, with its links resolved; None for one that is neither."""
    if not isinstance(data, str | Path) or str(data).startswith(SCHEME):
        return None
    if str(data) == _STANDARD_INPUT:
        # A file may be behind it, as in `persqa run - <people.jsonl`.
        file = os.path.realpath("/dev/stdin")
        return file if os.path.isfile(file) else None  # noqa: PTH113 - so is the line above
    return os.path.realpath(data)


def open_input(
    data: str | Path | Iterable[Mapping[str, object]],
    *,
    blobs: BlobStore,
    input_format: str | None = None,
    split: str | None = None,
    columns: Columns = SEED_COLUMNS,
    limit: int | None = None,
) -> Reader:
    """Choose the reader for an input.

    Args:
        data: a file, a folder, a pattern, `hf://org/name`, `-` for standard input, or records in memory.
        blobs: stores the bytes of images inside the data.
        input_format: one of `FORMATS`; by default the suffix says.
        split: the part of a Hugging Face data set.
        columns: the names of the fields that PersQA reads.
        limit: how many records in memory to read; the others are never asked for. `part_of` takes part of any input.

    Raises:
        InputError: there is no such input, or no reader for its format.
    """
    asked = Reading(columns=columns, cells=Cells(blobs), split=split)
    if not isinstance(data, str | Path):
        if input_format is not None or split is not None:
            raise InputError("records in memory have no format and no split: leave both out")
        return MemoryReader(islice(data, limit), asked)
    text = str(data)
    if not text:
        raise InputError("no input is named, for its name is empty: write a file, a folder, or . for this folder")
    if text == _STANDARD_INPUT:
        return open_standard_input(input_format, asked)
    if text.startswith(SCHEME) and input_format not in (None, "hf"):
        raise InputError(f"{text}: {option('input_format')} {input_format} does not go with it: leave it out")
    if text.startswith(SCHEME) or (input_format == "hf" and not Path(text).exists()):
        return HubReader(text, asked)
    return open_path(text, input_format, asked)
