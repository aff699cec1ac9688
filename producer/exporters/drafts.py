"""Drafts: a file or folder has another name until it is whole, so nobody reads half of it or loses the old one."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
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
    draft, old = _beside(target, "part"), _beside(target, "old")
    draft.mkdir()
    try:
        yield draft
        if target.exists():
            # No system replaces a folder with content; for a moment the name is free.
            target.rename(old)
        try:
            draft.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path, kind: str) -> Path:
    # Writers choose by the suffix, so it stays.
    return target.with_name(f".{os.getpid()}.{kind}.{target.name}")


def _refuse_other(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not any((target / mark).is_file() for mark in _MARKS):
        raise InputError(f"{target} is a folder with something else in it: choose another name")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file: a data set is a folder, choose another name")
