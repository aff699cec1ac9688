"""What an input looks like by its first bytes, where that is not the format it is read as."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.image_kinds import kind_of
from persqa.words import option
from producer.compression import COMPRESSIONS, open_bytes, packed_as
from producer.readers.files import refusals
from producer.readers.text_shapes import Format, Likeness, read_as, text_shape

if TYPE_CHECKING:
    from pathlib import Path

    from producer.readers.base import Reading, Source

_NAMES: dict[Format, str] = {
    "json": "a JSON array",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "tsv": "tab-separated values",
    "parquet": "Parquet",
    "tar": "a tar archive",
}
_HEAD_BYTES = 1 << 16
_TAR_MAGIC = slice(257, 262)


def _text_in(encoding: str) -> Likeness:
    return Likeness(f"text in {encoding}", f"save it as UTF-8: iconv -f {encoding} -t UTF-8 {{file}} >utf8.txt")


#: By the first bytes; `kinds` knows pictures and more.
_BINARY: tuple[tuple[re.Pattern[bytes], Likeness], ...] = (
    (re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|\0\0\0[\t-~]\0|[\t-~]\0\0\0[\t-~]"), _text_in("UTF-32")),
    (re.compile(rb"\xff\xfe|\xfe\xff|\0[\t-~]\0[\t-~]|[\t-~]\0[\t-~]\0"), _text_in("UTF-16")),
    (re.compile(rb"PAR[1E]"), read_as("Parquet", "parquet")),
    (
        re.compile(rb"ARROW1|\xff\xff\xff\xff"),
        Likeness("a file of Arrow", "give the folder that save_to_disk has written, or save it as Parquet"),
    ),
    (
        re.compile(rb"PK\x03\x04.{26}(?:\[Content_Types\]|_rels/|docProps|xl/|mimetype)|\xd0\xcf\x11\xe0", re.DOTALL),
        Likeness("a workbook of a spreadsheet program", "save its sheet there as CSV in UTF-8"),
    ),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), Likeness("a zip archive", "unpack it first: unzip {file}")),
    (re.compile(rb"BZh[1-9]"), Likeness("a file of bzip2", "unpack it first: bunzip2 {file}")),
    (re.compile(rb"\xfd7zXZ\0"), Likeness("a file of xz", "unpack it first: unxz {file}")),
    (re.compile(rb"7z\xbc\xaf'|Rar!|\x04\x22\x4d\x18"), Likeness("a packed archive", "unpack it first")),
    (re.compile(rb"SQLite format 3\0"), Likeness("a database of SQLite", "export its table as CSV")),
    (re.compile(rb"\x89HDF|\x93NUMPY|\x80[\x02-\x05]"), Likeness("data of a Python library", "save it as Parquet")),
    (re.compile(rb"\s*<\?xml"), Likeness("XML", "make JSON Lines of it, with one object for each record")),
)
_OTHER_KINDS = {
    "HTML page": Likeness("a page of the web", "it is a login or an error of where it was fetched from: fetch it anew"),
    "pointer of Git LFS": Likeness("a pointer of Git LFS, and not the file itself", "fetch that with: git lfs pull"),
}


def refuse_other_format(source: Source, asked: Reading, wanted: Format) -> None:
    """Refuse a file that is packed in another way than its name says, or looks like another format.

    Raises:
        InputError: it is so; the message says what it looks like, and what to do.
    """
    with refusals(source):
        _refuse_packing(source)
        with open_bytes(source.path) as file:
            head = file.read(_HEAD_BYTES)
    found = _likeness(head, wanted, asked.columns.image)
    if found is not None and found.format != wanted:
        file = "FILE" if source.is_standard_input else shlex.quote(source.shown)
        advice = found.advice.replace("{file}", file).replace("{option}", option("input_format"))
        raise InputError(f"{source.shown}: expected {_NAMES[wanted]}, and this looks like {found.name}; {advice}")


def looks_like(path: Path, asked: Reading) -> str | None:
    """The format of a file whose suffix names none; None if nobody can say."""
    with path.open("rb") as file:
        found = _likeness(file.read(_HEAD_BYTES), None, asked.columns.image)
    return None if found is None else found.format


def _refuse_packing(source: Source) -> None:
    """Refuse a file that is packed where its name does not say so, and the other way round."""
    said = COMPRESSIONS.get(source.path.suffix.lower())
    with source.path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = packed_as(head)
    if found == said or not head:
        return
    if found is None:
        what = "is not packed, though it is said to be"
        hint = "give it a name without that suffix"
    else:
        what = f"is packed with {found}"
        hint = f"let its name end in {next(suffix for suffix, name in COMPRESSIONS.items() if name == found)}"
    if source.is_standard_input:
        hint = f"say it with {option('input_format')}, as in jsonl or jsonl.gz"
    raise InputError(f"{source.shown}: it {what}; {hint}")


def _likeness(head: bytes, wanted: Format | None, image_column: str) -> Likeness | None:
    """What the first bytes look like."""
    if (found := _binary(head)) is not None:
        return found
    text = head.decode("utf-8-sig", errors="replace")
    # Any text is enough to see that it is no Parquet and no archive.
    shape = None if wanted in ("parquet", "tar") else wanted
    return text_shape(text, shape, whole=len(head) < _HEAD_BYTES, image_column=image_column)


def _binary(head: bytes) -> Likeness | None:
    if head[_TAR_MAGIC] == b"ustar":
        return read_as("a tar archive", "tar")
    for magic, likeness in _BINARY:
        if magic.match(head):
            return likeness
    kind = kind_of(head)
    if kind is None or not kind.is_picture:
        return None if kind is None else _OTHER_KINDS.get(kind.name)
    if kind.is_decoded:
        return read_as(f"a picture ({kind.name})", "images")
    return Likeness(f"a picture ({kind.name})", "no worker decodes it: save it as JPEG or PNG")
