"""Exporters write the pairs of a run to a file or folder; each format is chosen by suffix or by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.system_errors import in_words
from persqa.words import no_such, option, switch
from producer.compression import COMPRESSIONS
from producer.exporters.drafts import draft_file, draft_folder
from producer.exporters.text import write_csv, write_json_array, write_json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from pydantic import JsonValue

    from producer.exporters.copies import ImageFolder
    from producer.exporters.images import Cells

__all__ = ["FORMATS", "HUGGING_FACE", "PAGES", "TEXT", "choose_format", "write_parts", "write_records"]


def _write_parquet(records: Iterable[dict[str, JsonValue]], path: Path, cells: Cells | None) -> int:
    # Imported here, as below: pyarrow takes long to load.
    from producer.exporters.parquet import write_parquet

    return write_parquet(records, path, cells)


def _write_data_set(records: Iterable[dict[str, JsonValue]], path: Path, cells: Cells | None) -> int:
    from producer.exporters.hugging_face import write_data_set

    return write_data_set(records, path, cells)


#: The format that is a folder.
HUGGING_FACE = "hf"
#: What the hub reads about a data set, in its folder.
CARD = "README.md"
#: What the hub calls the part of a data set that has no others.
ONLY_PART = "train"
#: What writes records to a path, by the format's name. It returns their number, and may raise an OSError.
FORMATS: dict[str, Callable[[Iterable[dict[str, JsonValue]], Path, Cells | None], int]] = {
    "json": write_json_array,
    "jsonl": write_json_lines,
    "csv": write_csv,
    "parquet": _write_parquet,
    HUGGING_FACE: _write_data_set,
}

#: Suffixes of pages for browsers.
PAGES = (".html", ".htm")
_SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
#: Text formats, which may be compressed as a whole, and hold no bytes.
TEXT = ("json", "jsonl", "csv")


def choose_format(path: Path, given: str | None) -> str:
    """The name of the format: the given one, else that of the file's suffix.

    Raises:
        InputError: there is no such format, or it cannot be compressed as the suffix says.
    """
    *_, last = ["", *path.suffixes]
    compressed = last.lower() in COMPRESSIONS
    suffix = path.with_suffix("").suffix if compressed else last
    if given is not None and given not in FORMATS:
        raise InputError(f"{option('file_format')}: {no_such('format', given, FORMATS)}")
    chosen = given or _SUFFIXES.get(suffix.lower())
    if chosen is None:
        known = f"use one of {', '.join(_SUFFIXES)}, or name it: {', '.join(FORMATS)}"
        if suffix.lower() in PAGES:
            known = f"and this is that of a page: say {switch('gallery')}"
        raise InputError(f"{path}: the format is chosen by suffix, {known}")
    if compressed and chosen not in TEXT:
        raise InputError(f"{path}: {chosen} is compressed by itself, leave out {last}")
    return chosen


def write_records(  # noqa: PLR0913 - each is about the file
    records: Iterable[dict[str, JsonValue]],
    path: Path,
    *,
    file_format: str,
    cells: Cells | None = None,
    copies: ImageFolder | None = None,
    overwrite: bool = True,
    card: Callable[[int], str] | None = None,
) -> int:
    """Write the records to a file or folder, which appears when it is whole.

    Args:
        records: in their order.
        path: of the file or folder.
        file_format: one of `FORMATS`.
        cells: makes the images of Parquet and data sets; without it they stay references.
        copies: what a text file refers to; it appears with the file.
        overwrite: whether it may take the place of a file or data set that is there.
        card: makes the card of a data set, which lies in its folder, of the number of records.

    Returns:
        The number of records.

    Raises:
        InputError: the path cannot be written, or a folder that is no data set is in the way, or anything if it must
            not be overwritten.
    """
    try:
        with _draft(path, file_format, copies, overwrite=overwrite) as draft:
            number = FORMATS[file_format](records, draft, cells)
            if card is not None:
                (draft / CARD).write_text(card(number), encoding="utf-8")
            return number
    except OSError as error:
        raise InputError(f"{path} cannot be written: {in_words(error, path)}") from error


def write_parts(
    parts: Mapping[str, Iterable[dict[str, JsonValue]]],
    path: Path,
    *,
    cells: Cells | None,
    overwrite: bool,
    card: Callable[[dict[str, int]], str],
) -> dict[str, int]:
    """Write a Hugging Face data set of several parts, which appears when it is whole; returns the numbers of records.

    Args:
        parts: the records of each part, by its name.
        path: of the folder.
        cells: as for `write_records`.
        overwrite: likewise.
        card: makes the card of the numbers of records.

    Raises:
        InputError: as `write_records`; or a part has no record.
    """
    numbers = dict[str, int]()
    try:
        with draft_folder(path, overwrite=overwrite) as draft:
            for name, records in parts.items():
                (draft / name).mkdir()
                numbers[name] = FORMATS[HUGGING_FACE](records, draft / name, cells)
            # What `datasets` looks for to see that these are parts of one.
            (draft / "dataset_dict.json").write_text(json.dumps({"splits": list(numbers)}))
            (draft / CARD).write_text(card(numbers), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {in_words(error, path)}") from error
    return numbers


def _draft(
    path: Path, file_format: str, copies: ImageFolder | None, *, overwrite: bool
) -> AbstractContextManager[Path]:
    if file_format == HUGGING_FACE:
        return draft_folder(path, overwrite=overwrite)
    return draft_file(path, None if copies is None else copies.in_place(), overwrite=overwrite)
