"""Chooses the reader for a path: by its suffix, by the named format, or by the content of the folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from persqa.errors import InputError
from persqa.image_kinds import IMAGE_SUFFIXES
from persqa.words import listed, no_such, option
from producer.compression import COMPRESSIONS
from producer.readers.base import STANDARD_INPUT, Reader, Reading, Source
from producer.readers.comma_separated import CsvReader, TsvReader
from producer.readers.hugging_face import DatasetFolderReader, is_data_set
from producer.readers.images import ImagesReader, images_of
from producer.readers.json_array import JsonArrayReader
from producer.readers.json_lines import JsonLinesReader
from producer.readers.likeness import looks_like
from producer.readers.parquet import ParquetReader
from producer.readers.passed import Passed
from producer.readers.patterns import fixed_folder, in_braces, is_pattern, matches, name_of
from producer.readers.shards import ShardsReader
from producer.readers.standard_input import StandardInputReader
from producer.readers.web_dataset import WebDatasetReader

_Open: TypeAlias = Callable[[Source, Reading], Reader]

_FILES: dict[str, _Open] = {
    "json": JsonArrayReader,
    "jsonl": JsonLinesReader,
    "csv": CsvReader,
    "tsv": TsvReader,
    "parquet": ParquetReader,
    "tar": WebDatasetReader,
    "images": ImagesReader,
}
#: What `--format` takes; `hf` is a folder written by `save_to_disk`, or a name on the hub.
FORMATS = (*_FILES, "hf")

_BY_SUFFIX = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".tar": "tar",
    ".tgz": "tar",
    **dict.fromkeys(IMAGE_SUFFIXES, "images"),
}
#: Formats that are read forwards in one go, so that the file may be packed.
_PACKABLE = ("json", "jsonl", "csv", "tsv", "tar")


def open_standard_input(input_format: str | None, asked: Reading) -> Reader:
    """The reader of standard input: JSON Lines by default, packed where the format says so, as in `csv.gz`.

    Raises:
        InputError: there is no such format, or it is no single file.
    """
    given = input_format or "jsonl"
    name, dot, packing = given.partition(".")
    if name not in _FILES or name == "images" or (dot and f".{packing}" not in COMPRESSIONS):
        streams = [name for name in _FILES if name != "images"]
        raise InputError(f"{option('input_format')}: standard input can be {listed(streams)}, and not {given!r}")
    _refuse_split(asked, STANDARD_INPUT)
    packed = f"{dot}{packing}" if dot else ""
    _refuse_packed(name, packed, STANDARD_INPUT)
    return StandardInputReader(lambda source: _FILES[name](source, asked), suffix=f".{name}{packed}")


def open_path(text: str, input_format: str | None, asked: Reading) -> Reader:
    """The reader of a file, a folder or a pattern.

    Raises:
        InputError: there is no such path, or no reader for its format.
    """
    if input_format is not None and input_format not in FORMATS:
        raise InputError(f"{option('input_format')}: {no_such('format', input_format, FORMATS)}")
    if is_pattern(text):
        return _open_pattern(text, input_format, asked)
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, input_format, asked)
    _refuse_missing(path, text)
    chosen = _format(path, input_format, asked)
    _refuse_split(asked, text)
    return _FILES[chosen](_source(path), asked)


def _refuse_missing(path: Path, text: str) -> None:
    """Refuse what is not there, in the words for what was meant."""
    if path.is_file():
        return
    if path.exists():
        raise InputError(f"{text} is neither a file nor a folder")
    kind = "folder" if text.endswith("/") else "file" if path.suffix else "file or folder"
    raise InputError(f"no such {kind}: {text}")


def input_files(text: str) -> Iterator[Path]:
    """The files and folders that were read, given what `open_path` was given; not each image of a folder of images."""
    if is_pattern(text):
        try:
            patterns = in_braces(text)
        except InputError:
            return
        for pattern in patterns:
            with suppress(InputError):
                yield from map(Path, matches(pattern))
        return
    path = Path(text)
    yield path
    if path.is_dir() and is_data_set(path):
        yield from path.rglob("*")


def _open_folder(path: Path, input_format: str | None, asked: Reading) -> Reader:
    folder = path.resolve()
    source = Source(path=path, shown=str(path), name=folder.name or "run", base=folder)
    if input_format == "hf" or (input_format is None and is_data_set(path)):
        return DatasetFolderReader(source, asked)
    if input_format not in (None, "images"):
        hint = f"a pattern such as {path}/*.{input_format} names the files in it"
        raise InputError(f"{path} is a folder, and {option('input_format')} {input_format} is for files; {hint}")
    _refuse_split(asked, str(path))
    return ImagesReader(source, asked)


def _open_pattern(text: str, input_format: str | None, asked: Reading) -> Reader:
    patterns = in_braces(text)
    chosen = _format(Path(patterns[0]), input_format, asked)
    _refuse_split(asked, text)
    folder = fixed_folder(text)
    base = folder.resolve()
    name = name_of(text, "" if chosen == "images" else _stem(Path(text)))
    if chosen == "images":
        source = Source(path=folder, shown=text, name=name, base=base)
        return ImagesReader(source, asked, images_of(patterns))
    # Braces keep their order; matches of a star are sorted.
    beside = Passed()
    files = list(dict.fromkeys(Path(found) for pattern in patterns for found in sorted(matches(pattern, beside))))
    if not files:
        raise InputError(f"no file matches {text}")
    folders = {str(file.parent.resolve()) for file in files}
    shards = [(str(file), _FILES[_format(file, input_format, asked)](_source(file), asked)) for file in files]
    return ShardsReader(name, Path(os.path.commonpath(folders)), shards, beside)


def _format(path: Path, given: str | None, asked: Reading) -> str:
    """The format of one file.

    Raises:
        InputError: the suffix names no format, or the format cannot be packed.
    """
    packed = path.suffix.lower() if path.suffix.lower() in COMPRESSIONS else ""
    inner = path.with_suffix("") if packed and packed not in _BY_SUFFIX else path
    chosen = given or _BY_SUFFIX.get(inner.suffix.lower())
    if chosen is None:
        found = looks_like(path, asked) if path.is_file() and not packed else None
        if found == "images":
            return found
        like = f"; it looks like {option('input_format')} {found}" if found else ""
        known = [suffix for suffix, name in _BY_SUFFIX.items() if name != "images"]
        said = f"use {', '.join(known)}, a suffix of images, or say it with {option('input_format')}"
        raise InputError(f"{path}: the suffix names no format: {said}{like}")
    if chosen == "hf":
        raise InputError(f"{path}: a Hugging Face data set on disk is a folder, as save_to_disk writes it")
    _refuse_packed(chosen, packed, str(path))
    return chosen


def _refuse_packed(chosen: str, packed: str, shown: str) -> None:
    if packed and chosen not in _PACKABLE:
        raise InputError(f"{shown}: {chosen} is not read from a {packed} file: unpack it first")


def _source(path: Path) -> Source:
    return Source(path=path, shown=str(path), name=_stem(path), base=path.parent.resolve())


def _stem(path: Path) -> str:
    """A file's name without the suffixes of its format."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    return inner.stem if inner.suffix.lower() in _BY_SUFFIX else inner.name


def _refuse_split(asked: Reading, shown: str) -> None:
    if asked.split is not None:
        raise InputError(f"{shown} has no splits, as Hugging Face data sets have: leave {option('split')} out")
