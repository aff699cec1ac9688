"""What a text looks like by its first characters: an array, objects on lines or over several, a table."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Format: TypeAlias = Literal["json", "jsonl", "csv", "tsv", "parquet", "tar"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What something looks like.

    Attributes:
        name: for people.
        advice: what to do; `{file}` stands for the file as a shell takes it, `{option}` for the option of formats.
        format: as which it is read, if as any.
    """

    name: str
    advice: str
    format: str | None = None


def read_as(name: str, input_format: str) -> Likeness:
    """What can be read as it is, once the format is named."""
    return Likeness(name, f"say it with {{option}} {input_format}", input_format)


_ARRAY = read_as("a JSON array", "json")
_LINES = read_as("JSON Lines", "jsonl")
_OBJECTS = Likeness("JSON objects over several lines each", "put each on one line: jq -c . {file} >lines.jsonl")
_OLD_LINES = Likeness("text with line ends of old Macs (CR)", r"give it others: tr '\r' '\n' <{file} >lines.jsonl")
_PANDAS = Likeness("a table of pandas by columns", "write it anew with df.to_json(path, orient='records')")
_BY_NAME = Likeness("one JSON object with a record under each name", "make an array: jq '[.[]]' {file} >records.json")
_ONE = Likeness("one JSON object", "put it on one line, as JSON Lines: jq -c . {file} >lines.jsonl")

#: Between the cells of a table.
_SEPARATORS = {"csv": ",", "tsv": "\t", "semicolons": ";", "bars": "|"}
_TABLES: dict[str, Likeness] = {",": read_as("CSV", "csv"), "\t": read_as("tab-separated values", "tsv")}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]')
#: Rows of a table that must agree, and how much of a header is shown, in characters.
_ROWS = 5
_SHOWN = 60

_SPACE = re.compile(r"[ \t\r\n]*")
_JSON_START = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\]]|[\[{]\s*$")
_LIST_OF_OBJECTS = re.compile(r"\[\s*\{")
_OBJECT = re.compile(r"\{\s*\"")
_ROW_NUMBERS = re.compile(r"\{\s*\"\d+\"\s*:")
#: How much of a value says what it is, in characters.
_PEEK = 200
#: The fields under which records are looked for first.
_USUAL = ("data", "records", "rows", "images", "items", "samples", "examples")


def text_shape(text: str, wanted: Format | None, *, whole: bool, image_column: str) -> Likeness | None:
    """What a text looks like, if that is not what is wanted, or None if nobody can say.

    Args:
        text: the beginning of it.
        wanted: the format that it should have.
        whole: whether it is all there is.
        image_column: a field that only records have.
    """
    text = text.strip() if whole else text.lstrip()
    if not text:
        return None
    if _JSON_START.match(text):
        found = None if wanted == "json" and text[0] == "[" else _json(text, wanted, whole, image_column)
    elif line := _SEPARATOR_LINE.match(text):
        found = _separator_line(line[1])
    else:
        found = _table(text, _SEPARATORS.get(wanted or ""), whole)
    return None if found is None or found.format == wanted else found


def _json(text: str, wanted: Format | None, whole: bool, image_column: str) -> Likeness | None:
    if "\n" not in text and "\r" in text and _is_object(text.partition("\r")[0]):
        return _OLD_LINES
    lines = [line for line in text.split("\n") if line.strip()]
    objects = [_is_object(line) for line in (lines if whole else lines[:-1])]
    if text[0] == "[":
        # A line with a list is one wrong record where others follow; an array has nothing behind it, or goes on.
        alone = len(lines) == 1 or not _is_json(lines[0])
        return _ARRAY if wanted != "jsonl" or alone else None
    if objects.count(True) > 1 or (wanted == "jsonl" and any(objects) and len(lines) > 1):
        return _LINES
    return _objects(text, one_line=len(lines) == 1, whole=whole, image_column=image_column)


def _objects(text: str, *, one_line: bool, whole: bool, image_column: str) -> Likeness | None:
    """One object, or several of them over more than one line each."""
    members = dict(_members(text))
    end = _end(text)
    if end is not None and text[end:].strip():
        return _OBJECTS if "\n" in text[:end] else None
    if members and all(map(_ROW_NUMBERS.match, members.values())):
        return _PANDAS
    if image_column in members:
        # A record.
        return (_LINES if whole else None) if one_line else _OBJECTS
    return _container(members) or (None if not members else _LINES if one_line else _ONE)


def _container(members: dict[str, str]) -> Likeness | None:
    """An object that holds the records."""
    if {"columns", "data"} <= members.keys() and members["data"].startswith("[["):
        return _PANDAS
    lists = [name for name, value in members.items() if _LIST_OF_OBJECTS.match(value) and name.isidentifier()]
    if lists:
        name = next((usual for usual in _USUAL if usual in lists), lists[0])
        coco = {"images", "annotations"} <= members.keys()
        what = "a file of COCO" if coco else "one JSON object"
        column = ", and name the column of the images, such as file_name" if name == "images" else ""
        advice = f"take them out: jq .{name} {{file}} >records.json{column}"
        return Likeness(f"{what} with its records under `{name}`", advice)
    return _BY_NAME if len(members) > 1 and all(map(_OBJECT.match, members.values())) else None


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The names in the object that a text begins with, each with the beginning of its value, as far as it goes."""
    at, mark = 0, "{"
    while text.startswith(mark, at):
        try:
            name, at = _decoded(text, at + 1)
            at = _SPACE.match(text, at).end()  # pyrefly: ignore[missing-attribute] - matches always
            if not isinstance(name, str) or not text.startswith(":", at):
                return
            value = _SPACE.match(text, at + 1).end()  # pyrefly: ignore[missing-attribute]
            yield name, text[value : value + _PEEK]
            _, at = _decoded(text, value)
        except (ValueError, RecursionError):
            return
        at, mark = _SPACE.match(text, at).end(), ","  # pyrefly: ignore[missing-attribute]


def _decoded(text: str, at: int) -> tuple[object, int]:
    """The value at a place, and where it ends."""
    start = _SPACE.match(text, at).end()  # pyrefly: ignore[missing-attribute]
    return cast("tuple[object, int]", json.JSONDecoder().raw_decode(text, start))


def _end(text: str) -> int | None:
    """Where the value ends that a text begins with; None if it is broken or goes on."""
    try:
        return _decoded(text, 0)[1]
    except (ValueError, RecursionError):
        return None


def _is_json(line: str) -> bool:
    end = _end(line)
    return end is not None and not line[end:].strip()


def _is_object(line: str) -> bool:
    return line.lstrip().startswith("{") and _is_json(line)


def _table(text: str, separator: str | None, whole: bool) -> Likeness | None:
    """Rows with the same number of cells, by another separator than this one."""
    lines = re.split(r"\r\n|\r|\n", text)
    lines = [line for line in (lines if whole else lines[:-1]) if line.strip()][:_ROWS]
    if not lines or (separator is not None and len(_cells(lines, separator)[0]) > 1):
        return None
    for other in _SEPARATORS.values():
        widths = [len(row) for row in _cells(lines, other)]
        if other != separator and widths[0] > 1 and len(widths) > 1 and len(set(widths)) == 1:
            return _TABLES.get(other) or _separated(other, lines[0])
    return None


def _cells(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator)) or [[]]
    except csv.Error:
        return [[]]


def _separated(separator: str, header: str) -> Likeness:
    shown = header if len(header) <= _SHOWN else f"{header[:_SHOWN]}…"
    advice = f"where no cell holds one itself, make tabs of them: tr '{separator}' '\\t' <{{file}} >table.tsv"
    return Likeness(f"a table with {separator} between its cells ({shown})", advice)


def _separator_line(separator: str) -> Likeness:
    rest = " >table.csv" if separator == "," else f" | tr '{separator}' '\\t' >table.tsv"
    what = f"a table that begins with the line 'sep={separator}', which only Excel knows"
    return Likeness(what, f"take that line off: tail -n +2 {{file}}{rest}")
