# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The library `webdataset` has no types that hold.
"""WebDataset: tar members with the same stem make a sample, `0001.json` and `0001.jpg` for instance.

The library groups the members; only JSON, text and numbers are decoded, and nothing is unpickled. The archive is
opened here, since the library runs commands in names, and takes a broken archive for a complete one.
"""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from persqa.complaints import not_json
from persqa.errors import InputError, RecordError
from persqa.libraries import library
from persqa.reasons import Reason
from persqa.records import RawRecord
from persqa.words import option
from producer.compression import open_bytes
from producer.readers.base import SourceReader
from producer.readers.files import refusals
from producer.readers.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_JSON = frozenset({"json", "jsn"})
_TEXT = frozenset({"txt", "text", "transcript", "caption"})
_NUMBER = frozenset({"cls", "cls2", "index", "inx", "id"})
#: Largest member, in bytes: it is held in memory.
_MOST_BYTES = 2**30


class WebDatasetReader(SourceReader):
    """Reads sample by sample; images are in the image column, other members under their suffix."""

    def __iter__(self) -> Iterator[RawRecord]:
        group: Any = library("webdataset.tariterators", "a WebDataset").group_by_keys
        try:
            with refusals(self._source), open_bytes(self._source.path) as file:
                # Each member has its name with it, so that an image keeps its name.
                for number, sample in enumerate(group(self._members(file)), 1):
                    yield self._record(f"sample {number}", sample)
        except (tarfile.TarError, ValueError) as error:
            raise InputError(f"{self._source.shown}: broken: {next(iter(error.args), error)}") from None

    def _members(self, file: BinaryIO) -> Iterator[dict[str, object]]:
        tail = _Tail(file)
        with tarfile.open(fileobj=cast("BinaryIO", tail), mode="r:") as archive:
            while (member := archive.next()) is not None:
                # The archive would keep all of them; the type stubs do not know where.
                cast("Any", archive).members.clear()
                name = member.name.rpartition("/")[2]
                # Such names are metadata, of Apple archives for instance.
                if not member.isreg() or name.startswith(("__", "._")):
                    continue
                if member.size > _MOST_BYTES:
                    size = f"has {member.size} bytes, and can have {_MOST_BYTES}"
                    raise InputError(f"{self._source.shown}: {member.name} {size}: keep it outside the archive")
                content = archive.extractfile(member)
                assert content is not None
                yield {"fname": member.name, "data": (name, content.read()), "__url__": self._source.shown}
        if not tail.is_end():
            raise InputError(
                f"{self._source.shown}: broken, cut off, or several archives in one: no end where one is due"
            )

    def _record(self, place: str, sample: Mapping[str, Any]) -> RawRecord:
        members = {suffix: member for suffix, member in sample.items() if not suffix.startswith("__")}
        key = str(sample["__key__"])
        given, error = _own_fields(members)
        own: dict[str, object] = {"__key__": key, **given}
        for suffix, value in self._columns(members):
            if suffix in own:
                error = error or _taken(suffix)
            else:
                own[suffix] = value
        return self._asked.cells.record(f"{place} ({key})", own, error)

    def _columns(self, members: Mapping[str, tuple[str, bytes]]) -> Iterator[tuple[str, object]]:
        """The columns from members other than the JSON: images first."""
        images: list[str] = []
        others: list[tuple[str, object]] = []
        for suffix, (name, data) in members.items():
            if f".{suffix.rpartition('.')[2]}" in IMAGE_SUFFIXES:
                images.append(self._asked.cells.blob(data, name))
            elif suffix not in _JSON:
                others.append((suffix, _parsed(suffix, data, name)))
        if images:
            yield self._asked.columns.image, images if len(images) > 1 else images[0]
        yield from others


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


def _own_fields(members: Mapping[str, tuple[str, bytes]]) -> tuple[dict[str, object], RecordError | None]:
    """The fields of the sample's JSON; without one there are none."""
    found = next((suffix for suffix in members if suffix in _JSON), None)
    if found is None:
        return {}, None
    try:
        value = json.loads(members[found][1].decode())
    except (ValueError, RecursionError) as error:
        text = members[found][1].decode(errors="backslashreplace")
        return {found: text}, RecordError(Reason.NOT_JSON, not_json(error, members[found][0]))
    if not isinstance(value, dict):
        return {found: value}, RecordError(Reason.NOT_AN_OBJECT, f"{members[found][0]} holds no object")
    return cast("dict[str, object]", value), None


def _taken(column: str) -> RecordError:
    message = f"the sample's JSON has a field {column!r}, and the sample has such a member, too"
    return RecordError(Reason.BAD_VALUE, f"{message}; for images {option('image_column')} can name another field")


def _parsed(suffix: str, data: bytes, name: str) -> object:
    """A member's content: JSON, text or a number by its suffix, otherwise bytes."""
    last = suffix.rpartition(".")[2]
    try:
        if last in _JSON:
            return json.loads(data.decode())
        if last in _TEXT:
            return data.decode()
        if last in _NUMBER:
            return int(data)
    except (ValueError, RecursionError):
        pass
    return {"bytes": data, "path": name}
