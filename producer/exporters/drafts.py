"""Drafts: a file or folder has another name until it is whole, so nobody reads half of it or loses the old one."""

from __future__ import annotations

import errno
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

#: Every folder that `datasets` has written holds one of these.
_MARKS = ("dataset_info.json", "dataset_dict.json")


@contextmanager
def draft_file(target: Path) -> Generator[Path]:
    """A file beside the target, with the same suffixes; it replaces the target at the end, unless something fails."""
    draft = _beside(target, "part")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def draft_folder(target: Path) -> Generator[Path]:
    """A folder beside the target; it replaces the target at the end, unless something fails.

    Raises:
        InputError: the target exists and is no data set.
    """
    _refuse_other(target)
    draft = _beside(target, "part")
    draft.mkdir()
    try:
        yield draft
        while not _put_in_place(draft, target):
            pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, target: Path) -> bool:
    """Replace the target; returns whether it worked, as another export may put its own there in between."""
    old = _beside(target, "old")
    with suppress(FileNotFoundError):
        # No system replaces a folder with content; for a moment the name is free.
        target.rename(old)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            shutil.rmtree(old, ignore_errors=True)
            return False
        with suppress(FileNotFoundError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return True


def _beside(target: Path, kind: str) -> Path:
    """A name that no other program has; processes in containers may have the same number."""
    # Writers choose by the suffix, so it stays.
    return target.with_name(f".{secrets.token_hex(8)}.{kind}.{target.name}")


def _refuse_other(target: Path) -> None:
    try:
        # At once: another export may replace the folder meanwhile.
        found = {path.name for path in target.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InputError(f"{target} is a file: a data set is a folder, choose another name") from None
    if found and found.isdisjoint(_MARKS):
        raise InputError(f"{target} is a folder with something else in it: choose another name")
