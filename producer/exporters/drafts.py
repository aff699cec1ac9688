"""Drafts: a file or folder has another name until it is whole, so nobody reads half of it or loses the old one."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.system_errors import in_words
from persqa.words import switch

if TYPE_CHECKING:
    from collections.abc import Generator

#: Every folder that `datasets` has written holds one of these.
_MARKS = ("dataset_info.json", "dataset_dict.json")
#: The name of every file in a folder of copies: the digest of its content, and the suffix of an image.
_COPY = re.compile(r"[0-9a-f]{64}(\.[a-z]+)?")


def already_there(target: Path) -> InputError:
    """The error about a target that exists and must not be overwritten."""
    return InputError(f"{target} exists: {switch('overwrite')} replaces it; or choose another name")


@contextmanager
def draft_file(
    target: Path, together: AbstractContextManager[None] | None = None, *, overwrite: bool = True
) -> Generator[Path]:
    """A file beside the target, with the same suffixes; it gets the target's name at the end, unless something fails.

    Args:
        target: the file.
        together: entered around that step; puts in place what appears with the file.
        overwrite: whether the target may exist by then.

    Raises:
        InputError: the target exists by then, and must not be overwritten.
    """
    draft = beside(target, "part")
    try:
        yield draft
        with together or nullcontext():
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
    draft = beside(target, "part")
    draft.mkdir()
    try:
        yield draft
        while not _put_in_place(draft, target, overwrite=overwrite):
            pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def folder_in_place(draft: Path | None, target: Path) -> Generator[None]:
    """Replace a folder, or remove it where there is no draft; the old one comes back if the block fails."""
    old = beside(target, "old")
    placed = False
    with _alone_in(target.parent):
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            if draft is not None:
                draft.rename(target)
                placed = True
            yield
        except BaseException:
            with suppress(OSError):
                if draft is not None and placed:
                    target.rename(draft)
                old.rename(target)
            raise
    shutil.rmtree(old, ignore_errors=True)


def refuse_other_images(folder: Path) -> None:
    """Raise InputError if something is there that is no folder of copies."""
    try:
        with os.scandir(folder) as found:
            other = next((entry.name for entry in found if not _COPY.fullmatch(entry.name)), None)
    except FileNotFoundError:
        return
    except OSError as error:
        cause = in_words(error, folder)
        raise InputError(f"{folder}, where the copies of images go, cannot be written: {cause}") from error
    if folder.is_symlink():
        raise InputError(f"{folder}, where the copies of images go, is a link: choose another name")
    if other is not None:
        raise InputError(f"{folder} has something else in it than copies of images ({other}): choose another name")


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Keep other exports to this folder waiting, so that a file and its copies are of one export."""
    with ExitStack() as stack:
        # Some network file systems have no locks for folders.
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _put_in_place(draft: Path, target: Path, *, overwrite: bool) -> bool:
    """Replace the target; returns whether it worked, as another export may put its own there in between."""
    old = beside(target, "old")
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


def beside(target: Path, kind: str) -> Path:
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
