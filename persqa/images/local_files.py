"""Local files with paths of unknown origin: only regular files under an allowed root are read."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from persqa.errors import SHORTAGES, Infrastructure, Rejected
from persqa.images.limits import ImageLimits
from persqa.images.naming import printable
from persqa.images.spellings import spelled_otherwise
from persqa.reasons import Reason

# In bytes; no system opens a longer path, and the time to resolve one grows with the square of its length.
_LONGEST_PATH = 4096

# NONBLOCK: opening a FIFO does not wait for a writer. NOFOLLOW: the path is resolved already, so a link as its last
# part is newer than that.
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY

#: What the system says where no file has a name; to it, a path with backslashes is one long name.
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")

_OS_ERRORS = {
    errno.ENOENT: (Reason.NOT_FOUND, "no such file"),
    errno.ENOTDIR: (Reason.NOT_FOUND, "no such file"),
    errno.EACCES: (Reason.NOT_PERMITTED, "permission denied"),
    errno.EPERM: (Reason.NOT_PERMITTED, "permission denied"),
    errno.ELOOP: (Reason.OUTSIDE_ROOTS, "its symbolic links cannot be resolved"),
    errno.ENAMETOOLONG: (
        Reason.BAD_PATH,
        f"the path, or a name in it, is too long: at most {_LONGEST_PATH} and 255 bytes",
    ),
    errno.EISDIR: (Reason.NOT_A_FILE, "not a regular file"),
    errno.ENXIO: (Reason.NOT_A_FILE, "not a regular file"),
    errno.ENODEV: (Reason.NOT_A_FILE, "not a regular file"),
}


def read_file(path: str, *, base: Path, limits: ImageLimits) -> bytes:
    """The content of a file; a relative path starts at `base`, the folder of the data file.

    A path that names no file is tried in the spellings that programs make of it; see `spelled_otherwise`.

    Raises:
        Rejected: there is no such file, or it may not be read.
        Infrastructure: this process or machine has run out of file handles or memory for opening files.
    """
    roots = tuple(Path(os.path.realpath(root)) for root in limits.roots or (base,))
    try:
        try:
            return _read(_resolved(path, base, roots), limits.max_bytes)
        except OSError as error:
            if error.errno not in _MISSING:
                raise
            found = spelled_otherwise(path, lambda spelling: _resolved(spelling, base, roots), roots)
            if found is not None:
                return _read(found, limits.max_bytes)
            if error.errno == errno.ENAMETOOLONG:
                raise
            raise Rejected(Reason.NOT_FOUND, f"no such file{_where(path, base)}") from None
    except OSError as error:
        raise _os_rejection(error) from error


def path_of_url(url: str) -> str:
    """The path of a `file:` URL; the rules for paths apply to it.

    Raises:
        Rejected: it names a file of another machine, or is malformed.
    """
    try:
        parts = urlsplit(url)
        path = unquote(parts.path, errors="strict")
    except ValueError:
        raise Rejected(Reason.BAD_URL, "the file: URL is malformed") from None
    if parts.netloc.lower() not in {"", "localhost"}:
        raise Rejected(Reason.BAD_URL, "a file: URL of another machine; write file:///folder/name")
    if parts.query or parts.fragment:
        raise Rejected(Reason.BAD_URL, "a file: URL with a query or fragment; write ? as %3F and # as %23")
    return path


def _resolved(path: str, base: Path, roots: tuple[Path, ...]) -> Path:
    """The path with all symbolic links resolved; it must be under a root."""
    _check_path(path)
    # Not strict: the answer must not tell whether a file outside the roots exists.
    found = Path(os.path.realpath(base / path))
    if not any(map(found.is_relative_to, roots)):
        said = "not inside a folder that PERSQA_IMAGE_ROOTS (--image-roots) allows, links followed"
        raise Rejected(Reason.OUTSIDE_ROOTS, f"{said}{_where(path, base)}")
    return found


def _where(path: str, base: Path) -> str:
    """What to do about a path that leads nowhere."""
    if path.startswith("~"):
        return "; ~ is no folder here: write the whole path"
    if _OF_WINDOWS.match(path):
        return "; it is a path of Windows: write one of this machine"
    return "" if path.startswith("/") else f"; relative paths start at {printable(str(base))} (--image-base)"


def _check_path(path: str) -> None:
    if not path:
        raise Rejected(Reason.BAD_PATH, "the image path is empty")
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise Rejected(Reason.BAD_PATH, "the path is not valid Unicode") from None
    if b"\0" in encoded:
        raise Rejected(Reason.BAD_PATH, "the path contains a NUL character")
    if len(encoded) > _LONGEST_PATH:
        raise Rejected(Reason.BAD_PATH, f"the path is longer than {_LONGEST_PATH} bytes")


def _read(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file; its size and kind are checked after opening, since the path may change."""
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        _check_status(status, max_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(descriptor)


def _check_status(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Rejected(Reason.NOT_A_FILE, "not a regular file")
    if status.st_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file is empty")
    if status.st_size > max_bytes:
        said = f"{status.st_size} bytes, more than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)"
        raise Rejected(Reason.TOO_MANY_BYTES, said)


def _os_rejection(error: OSError) -> Rejected | Infrastructure:
    cause = os.strerror(error.errno) if error.errno is not None else str(error)
    if error.errno in SHORTAGES:
        return Infrastructure(f"cannot open image files: {cause}")
    reason, sentence = _OS_ERRORS.get(error.errno or 0, (Reason.UNREADABLE, f"cannot be read: {cause}"))
    return Rejected(reason, sentence)
