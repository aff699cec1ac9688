"""Images as input: a folder with all below it, or a pattern; each image is a record `{"image": path}`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from persqa.errors import InputError
from persqa.image_kinds import HEAD_BYTES, kind_named
from persqa.records import RawRecord
from persqa.urls import as_path
from producer.readers.base import Edition, Reading, Source, SourceReader
from producer.readers.files import ScratchFile, refusals
from producer.readers.passed import Passed, in_words
from producer.readers.patterns import matches
from producer.readers.pictures import label_of, picture_kind, suffix_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The paths of files; what else is found is put into the collection.
Find: TypeAlias = Callable[[Passed], Iterable[str]]


class ImagesReader(SourceReader):
    """Lists the images once, sorted by path; later readings use the same list."""

    def __init__(self, source: Source, asked: Reading, find: Find | None = None) -> None:
        """Keep the folder or image; `find` gives the paths of files instead of all below the folder."""
        super().__init__(source, asked)
        self._find: Find = find or partial(_below, source.path)
        self._list: ScratchFile | None = None

    def fields(self) -> Sequence[str]:
        """The image column."""
        return [self._asked.columns.image]

    def edition(self) -> Edition:
        """As in `Reader`: the list does not change."""
        return ()

    def __iter__(self) -> Iterator[RawRecord]:
        if self._list is None:
            try:
                with refusals(self._source):
                    self._list = self._listed()
            except sqlite3.Error as error:
                raise InputError(f"{self._source.shown}: the list of images cannot be put aside: {error}") from error
        with closing(sqlite3.connect(self._list.path)) as database:
            for number, (path,) in enumerate(database.execute("select path from images order by path"), 1):
                yield RawRecord(place=f"image {number}", value={self._asked.columns.image: as_path(os.fsdecode(path))})

    def _listed(self) -> ScratchFile:
        # A database sorts any number of names in bounded memory.
        kept = ScratchFile(".sqlite")
        with closing(sqlite3.connect(kept.path)) as database:
            database.execute("create table images (path blob primary key) without rowid")
            paths = ((os.fsencode(path),) for path in self._images())
            # Patterns may find a file twice.
            added = database.executemany("insert or ignore into images values (?)", paths).rowcount
            database.commit()
        if added < 1:
            there = f"; passed over: {found}" if (found := in_words(self.passed)) else ""
            hint = "for files of records in a folder use a pattern such as folder/*.parquet"
            raise InputError(f"{self._source.shown} has no image that workers decode{there}; {hint}")
        return kept

    def _images(self) -> Iterator[str]:
        """Paths relative to the base, with slashes."""
        # Not relative to the base, which has its links resolved: paths would lead all the way round.
        folder = self._source.path if self._source.path.is_dir() else self._source.path.parent
        for path in self._find(self.passed):
            shown = os.path.relpath(path, folder).replace(os.sep, "/")
            named = kind_named(suffix := suffix_of_name(path))
            if named is None or not named.is_decoded:
                try:
                    kind = picture_kind(suffix, _head(path))
                except PermissionError:
                    self.passed.add("unreadable file", shown)
                    continue
                if kind is None or not kind.is_decoded:
                    self.passed.add(label_of(path, kind), shown)
                    continue
            yield shown


def images_of(patterns: Sequence[str]) -> Find:
    """Finds what patterns match, each a pattern without braces or a plain name."""

    def find(passed: Passed) -> Iterator[str]:
        for pattern in patterns:
            # Two stars go into folders, so that what is in them is found by itself.
            beside = Passed() if "**" in pattern else passed
            yield from matches(pattern, beside)

    return find


def _head(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - a Path a file takes seconds
        return file.read(HEAD_BYTES)


def _below(path: Path, passed: Passed) -> Iterator[str]:
    """All files below a folder, without hidden ones and links to folders; of a file, itself."""
    if not path.is_dir():
        yield str(path)
        return
    folders = [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                kind = _other_kind(entry)
                if kind is not None:
                    passed.add(kind, os.path.relpath(entry.path, path))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path


def _other_kind(entry: os.DirEntry[str]) -> str | None:
    """What something in a folder is that is neither a file to look at nor a folder to go into."""
    # Links may lead round in a circle, which the entry itself would raise.
    is_link = entry.is_symlink()
    is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()  # noqa: PTH112 - a Path a file takes seconds
    if entry.name.startswith("."):
        return "hidden folder" if is_folder else "hidden file"
    if is_folder:
        return "link to a folder" if is_link else None
    is_file = os.path.isfile(entry.path) if is_link else entry.is_file()  # noqa: PTH113
    return None if is_file else "link to nothing" if is_link else "special file"
