"""WebDataset: tar members with the same stem make a sample, `0001.json` and `0001.jpg` for instance.

Only JSON, text and numbers are decoded, and nothing is unpickled. What a member is called decides what it is, and its
first bytes where the name is no picture's.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from persqa.complaints import not_json
from persqa.errors import InputError, RecordError
from persqa.image_kinds import HEAD_BYTES
from persqa.reasons import Reason
from persqa.records import RawRecord
from persqa.words import option
from producer.compression import open_bytes
from producer.readers.base import SourceReader
from producer.readers.files import refusals
from producer.readers.likeness import refuse_other_format
from producer.readers.passed import Passed
from producer.readers.pictures import label_of, picture_kind
from producer.readers.seen import SeenNames

if TYPE_CHECKING:
    from collections.abc import Iterator


_JSON = frozenset({"json", "jsn"})
_TEXT = frozenset({"txt", "text", "transcript", "caption"})
_NUMBER = frozenset({"cls", "cls2", "index", "inx", "id"})
#: Largest member, in bytes: it is held in memory.
_MOST_BYTES = 2**30
#: The folder and the stem of a name are the sample; all behind the first dot says what of the sample it is.
_NAME = re.compile(r"((?:.*/)?[^./]+)(?:\.([^/]*))?", re.DOTALL)
#: Of programs, and not of people.
_METADATA = re.compile(r"__.*__")
_SORTING = "unpack it and pack it sorted, as in: tar --sort=name -cf sorted.tar -C FOLDER ."


@dataclass(slots=True)
class _Sample:
    """The members of one sample, as values.

    Attributes:
        key: what they have in common.
        names: of all members, by their suffixes in lower case.
        json: the fields of its JSON, if it has one.
        images: references to its pictures, in order.
        others: all other members by their suffixes.
        unread: the first picture that no worker decodes, and its kind.
        error: what is wrong with it.
    """

    key: str
    names: dict[str, str] = field(default_factory=dict[str, str])
    json: dict[str, object] = field(default_factory=dict[str, object])
    images: list[str] = field(default_factory=list[str])
    others: dict[str, object] = field(default_factory=dict[str, object])
    unread: str | None = None
    error: RecordError | None = None


class WebDatasetReader(SourceReader):
    """Reads sample by sample; images are in the image column, other members under their suffix."""

    def __iter__(self) -> Iterator[RawRecord]:
        refuse_other_format(self._source, self._asked, "tar")
        self.passed = Passed()
        try:
            with refusals(self._source), open_bytes(self._source.path) as file:
                for number, sample in enumerate(self._samples(file), 1):
                    yield self._record(f"sample {number}", sample)
        except (tarfile.TarError, ValueError) as error:
            raise InputError(f"{self._source.shown}: broken: {error}") from None

    def _samples(self, file: BinaryIO) -> Iterator[_Sample]:
        """Members that follow each other and have the same key; a key that comes again later is a fault."""
        sample: _Sample | None = None
        with SeenNames() as seen:
            for key, suffix, member, data in self._members(file):
                if sample is None or key != sample.key:
                    if sample is not None:
                        yield sample
                    if not seen.add(key):
                        said = f"{member}: the sample {key} comes again after others, so it would be two records"
                        raise InputError(f"{self._source.shown}: {said}; {_SORTING}")
                    sample = _Sample(key)
                if (other := sample.names.get(suffix)) is not None:
                    both = f"{member} comes twice" if other == member else f"{other} and {member}"
                    said = "duplicates, as both would be the same field of one record; rename one of them"
                    raise InputError(f"{self._source.shown}: {both}: {said}")
                sample.names[suffix] = member
                self._take(sample, suffix, member.rpartition("/")[2], data)
            if sample is not None:
                yield sample

    def _members(self, file: BinaryIO) -> Iterator[tuple[str, str, str, bytes]]:
        """Of each member of a sample its key, its suffix, its name and its content."""
        tail = _Tail(file)
        with tarfile.open(fileobj=cast("BinaryIO", tail), mode="r:") as archive:
            while (member := archive.next()) is not None:
                # The archive would keep all of them; the type stubs do not know where.
                cast("Any", archive).members.clear()
                if (kind := _other_kind(member)) is not None:
                    self.passed.add(kind, member.name)
                    continue
                if member.size > _MOST_BYTES:
                    size = f"has {member.size} bytes, and can have {_MOST_BYTES}"
                    raise InputError(f"{self._source.shown}: {member.name} {size}: keep it outside the archive")
                content = archive.extractfile(member)
                assert content is not None
                data = content.read()
                found = cast("re.Match[str]", _NAME.fullmatch(member.name))
                kind = None if found[2] else picture_kind("", data[:HEAD_BYTES])
                if found[2] or (kind is not None and kind.is_decoded):
                    yield found[1], (found[2] or "").lower(), member.name, data
                else:
                    self.passed.add(label_of(member.name, kind), member.name)
        if not tail.is_end():
            raise InputError(
                f"{self._source.shown}: broken, cut off, or several archives in one: no end where one is due"
            )

    def _take(self, sample: _Sample, suffix: str, name: str, data: bytes) -> None:
        """Put a member into its sample; bytes go into the blob store, so that none are held."""
        last = suffix.rpartition(".")[2]
        if suffix in _JSON and not _JSON & (sample.names.keys() - {suffix}):
            sample.json, sample.error = _own_fields(suffix, data, name)
        elif last in _JSON | _TEXT | _NUMBER:
            try:
                sample.others[suffix] = _parsed(last, data)
            except (ValueError, RecursionError):
                sample.others[suffix] = self._asked.cells.blob(data, name)
        else:
            kind = picture_kind(f".{last}", data[:HEAD_BYTES])
            reference = self._asked.cells.blob(data, name)
            if kind is not None and kind.is_decoded:
                sample.images.append(reference)
                return
            sample.others[suffix] = reference
            if kind is not None:
                sample.unread = sample.unread or f"{name}: {kind.name}, which no worker decodes"

    def _record(self, place: str, sample: _Sample) -> RawRecord:
        column, error = self._asked.columns.image, sample.error
        own: dict[str, object] = {"__key__": sample.key, **sample.json}
        images = {column: sample.images if len(sample.images) > 1 else sample.images[0]} if sample.images else {}
        for suffix, value in [*images.items(), *sample.others.items()]:
            if suffix in own:
                error = error or _taken(suffix)
            else:
                own[suffix] = value
        if sample.unread is not None and column not in own:
            error = error or RecordError(Reason.NOT_AN_IMAGE, sample.unread)
        return self._asked.cells.record(f"{place} ({sample.key})", own, error)


class _Tail:
    """A file read forwards, which can tell the end of an archive from a break in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self._last = b""

    def is_end(self) -> bool:
        """Whether the last block and all that follow are empty; reads to the end."""
        empty = len(self._last) == tarfile.BLOCKSIZE
        while empty and self._last:
            empty = not any(self._last)
            self.read(1 << 20)
        return empty

    def read(self, size: int = -1) -> bytes:
        self._last = self._file.read(size)
        self._at += len(self._last)
        return self._last

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        """Go forwards; packed files know no other way."""
        while self._at < position and self.read(min(position - self._at, 1 << 20)):
            pass
        return self._at


def _other_kind(member: tarfile.TarInfo) -> str | None:
    """What a member is that is of no sample whatever it holds; None for all others."""
    name = member.name.rpartition("/")[2]
    stem, first = name.partition(".")[0], member.name.partition("/")[0]
    kinds = {
        "folder": member.isdir(),
        "symbolic link": member.issym(),
        "hard link": member.islnk(),
        "special file": not member.isreg(),
        "AppleDouble file": name.startswith("._"),
        "hidden file": name.startswith("."),
        "metadata file": _METADATA.fullmatch(stem) or _METADATA.fullmatch(first),
        "file without a name": not name,
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _own_fields(suffix: str, data: bytes, name: str) -> tuple[dict[str, object], RecordError | None]:
    """The fields that the JSON of a sample gives to its record."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        text = data.decode(errors="backslashreplace")
        return {suffix: text}, RecordError(Reason.NOT_JSON, not_json(error, name))
    if not isinstance(value, dict):
        return {suffix: value}, RecordError(Reason.NOT_AN_OBJECT, f"{name} holds no object")
    return cast("dict[str, object]", value), None


def _taken(column: str) -> RecordError:
    message = f"the sample's JSON has a field {column!r}, and the sample has such a member, too"
    return RecordError(Reason.BAD_VALUE, f"{message}; for images {option('image_column')} can name another field")


def _parsed(kind: str, data: bytes) -> object:
    """A member's content as JSON, text or a number.

    Raises:
        ValueError: it is none; or RecursionError.
    """
    text = data.decode("utf-8-sig")
    return json.loads(text) if kind in _JSON else text if kind in _TEXT else int(text)
