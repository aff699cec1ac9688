"""Targets: what an export may be written to, so that it destroys nothing of the user's and nothing of PersQA's own."""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.image_kinds import IMAGE_SUFFIXES
from persqa.system_errors import in_words
from producer.exporters.drafts import already_there
from producer.readers import input_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What SQLite puts beside a database, and what a database begins with.
_COMPANIONS = ("", "-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"
_LOGS = "persqa-worker*.log"
#: Where a blob store keeps what it has, from its own folder on.
_BLOBS = re.compile("[0-9a-f]{2}")


def check_target(
    target: Path, *, overwrite: bool, inputs: Mapping[str, Sequence[str]], blob_folder: Path | None
) -> None:
    """Refuse a target whose loss would be one.

    Args:
        target: the file or folder that is to be written.
        overwrite: whether an existing file or data set may be replaced; what no export may replace is refused still.
        inputs: what the records of each run were read from, by the run's name.
        blob_folder: of the blob store; None if it is no folder.

    Raises:
        InputError: the target is a database or what belongs to it, a log of workers, or a part of the blob store; or it
            exists, and is the input of a run, an image, no regular file, or must not be overwritten.
    """
    _refuse_own(target, blob_folder)
    try:
        found = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InputError(f"{target} cannot be written: {in_words(error, target)}") from error
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        raise InputError(f"{target} is neither a file nor a folder: name a file")
    for run, given in inputs.items():
        if any(_touches(target, one) for one in given):
            raise InputError(
                f"{target} is the input of the run {run!r}, and no export replaces that: name another file"
            )
    if target.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{target} is an image, and no export replaces one: name another file")
    if not overwrite and not _is_empty_folder(target):
        raise already_there(target)


def _refuse_own(target: Path, blob_folder: Path | None) -> None:
    for place in {target, Path(os.path.realpath(target))}:
        if (database := _database_of(place)) is not None:
            raise InputError(f"{target} is the database {database} or belongs to it: name another file")
        if fnmatch(place.name, _LOGS):
            raise InputError(f"{target} is the log of a worker: name another file")
    if blob_folder is not None and _is_of_blobs(target, blob_folder):
        raise InputError(f"{target} is or holds a part of the blob store {blob_folder}: name another file")


def _database_of(target: Path) -> Path | None:
    """The SQLite database that a file is, or that it is a companion of."""
    for companion in _COMPANIONS:
        if target.name.endswith(companion):
            main = target.with_name(target.name.removesuffix(companion)) if target.name != companion else target
            if main.is_file() and _begins_as_sqlite(main):
                return main
    return None


def _begins_as_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_SQLITE)) == _SQLITE
    except OSError:
        # What cannot be read cannot be a database of ours.
        return False


def _is_of_blobs(target: Path, folder: Path) -> bool:
    root, place = Path(os.path.realpath(folder)), Path(os.path.realpath(target))
    if root == place or place in root.parents:
        return root.exists()
    if root not in place.parents:
        return False
    first = place.relative_to(root).parts[0]
    return first.startswith(".") or _BLOBS.fullmatch(first) is not None


def _touches(target: Path, given: str) -> bool:
    """Whether replacing an existing target would take away an input, or a part of it."""
    place = Path(os.path.realpath(target))
    for own in input_files(given):
        try:
            if own.samefile(target):
                return True
        except OSError:
            # Either is gone; a link may lead nowhere.
            continue
        if place in Path(os.path.realpath(own)).parents:
            return True
    return False


def _is_empty_folder(target: Path) -> bool:
    return target.is_dir() and not target.is_symlink() and next(target.iterdir(), None) is None
