"""Drafts: a file or folder has another name until it is whole, so nobody reads half of it or loses the old one."""

from __future__ import annotations

import errno
import os
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


def already_there(target: Path) -> InputError:
    """The error about a target that exists and must not be overwritten."""
    return InputError(f"{target} exists: --overwrite (in Python overwrite=True) replaces it; or choose another name")


@contextmanager
def draft_file(target: Path, *, overwrite: bool = True) -> Generator[Path]:
    """A file beside the target, with the same suffixes; it gets the target's name at the end, unless something fails.

    Raises:
        InputError: the target exists by then, and must not be overwritten.
    """
    draft = _beside(target, "part")
    try:
        yield draft
        if overwrite:
            draft.replace(target)
        else:
            _give_new_name(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _give_new_name(draft: Path, target: Path) -> None:
    try:
        # Unlike a change of name, this never takes the place of a file that somebody has just made.
        target.hardlink_to(draft)
    except FileExistsError:
        raise already_there(target) from None
    except OSError:
        # Some file systems have no second names.
        if os.path.lexists(target):
            raise already_there(target) from None
        draft.replace(target)


@contextmanager
def draft_folder(target: Path, *, overwrite: bool = True) -> Generator[Path]:
    """A folder beside the target; it replaces the target at the end, unless something fails.

    Raises:
        InputError: the target exists and is no data set; or it is one by the end, and must not be overwritten.
    """
    _refuse_other(target)
    draft = _beside(target, "part")
    draft.mkdir()
    try:
        yield draft
        while not _put_in_place(draft, target, overwrite=overwrite):
            pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, target: Path, *, overwrite: bool) -> bool:
    """Replace the target; returns whether it worked, as another export may put its own there in between."""
    old = _beside(target, "old")
    if overwrite:
        with suppress(FileNotFoundError):
            # No system replaces a folder with content; for a moment the name is free.
            target.rename(old)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and not overwrite:
            raise already_there(target) from None
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
