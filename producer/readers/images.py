"""Images as input: a folder with all below it, or a pattern; each image is a record `{"image": path}`."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import RawRecord
from persqa.urls import as_path
from persqa.words import counted
from producer.readers.base import Reading, Source, SourceReader
from producer.readers.files import ScratchFile, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

#: Suffixes of the formats that a worker decodes.
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
#: How many suffixes of other files are named.
_NAMED = 5


class ImagesReader(SourceReader):
    """Lists the images once, sorted by path; later readings use the same list."""

    def __init__(self, source: Source, asked: Reading, find: Callable[[Path], Iterable[str]] | None = None) -> None:
        """Keep the folder or image; `find` gives the paths of files instead of all below the folder."""
        super().__init__(source, asked)
        self._find = find or _below
        self._list: ScratchFile | None = None
        #: The files that no worker decodes, by suffix.
        self._others: Counter[str] = Counter()

    def fields(self) -> Sequence[str]:
        """The image column."""
        return [self._asked.columns.image]

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
            names = ", ".join(sorted(IMAGE_SUFFIXES))
            there = f", but {self._other_files()}" if self._others else ""
            hint = "for files of records in a folder use a pattern such as folder/*.parquet"
            raise InputError(f"{self._source.shown} has no image (a file with the suffix {names}){there}; {hint}")
        if self._others:
            number = counted(self._others.total(), "file is", "files are")
            logger.warning("%s: %s left out, as not read: %s", self._source.shown, number, self._other_files())
        return kept

    def _other_files(self) -> str:
        """As in `2 .heic, 1 .avif`."""
        named = [f"{number} {suffix}" for suffix, number in self._others.most_common(_NAMED)]
        return ", ".join(named + ["..."] * (len(self._others) > _NAMED))

    def _images(self) -> Iterator[str]:
        """Paths relative to the base, with slashes."""
        # Not relative to the base, which has its links resolved: paths would lead all the way round.
        folder = self._source.path if self._source.path.is_dir() else self._source.path.parent
        for path in self._find(self._source.path):
            suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path a file takes seconds
            if suffix in IMAGE_SUFFIXES:
                yield os.path.relpath(path, folder).replace(os.sep, "/")
            else:
                self._others[suffix or "without a suffix"] += 1


def _below(path: Path) -> Iterator[str]:
    """All files below a folder, without hidden ones and links to folders; of a file, itself."""
    if not path.is_dir():
        yield str(path)
        return
    folders = [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    yield entry.path
