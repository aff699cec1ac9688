"""What the operating system answers about a file, in words that say what to look at."""

from __future__ import annotations

import errno
from pathlib import Path

_SENTENCES = {
    errno.ENOENT: "there is no such file",
    errno.EACCES: "this user may not do that",
    errno.EPERM: "this user may not do that",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file, and no folder",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "this user's part of the disk is full",
    errno.EROFS: "the disk is mounted read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.EEXIST: "it exists already",
    errno.EIO: "the disk fails",
    errno.ESTALE: "the disk of another machine has changed meanwhile",
    errno.EMFILE: "this program has too many files open",
    errno.ENFILE: "this machine has too many files open",
    errno.ENOMEM: "this machine has too little memory",
    errno.ECONNREFUSED: "nothing listens there",
    errno.EHOSTUNREACH: "that machine cannot be reached",
    errno.ENETUNREACH: "that network cannot be reached",
    errno.ETIMEDOUT: "nothing answers there",
    # EAI_NONAME, which only the module socket knows.
    -2: "there is no machine of that name",
    errno.EADDRINUSE: "another program listens there",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def in_words(error: OSError, path: str | Path | None = None) -> str:
    """Why a file cannot be read or written, as the end of a sentence.

    Args:
        error: what the system answered.
        path: what was to be opened or made; a folder that is missing on the way there is named.
    """
    if path is not None and error.errno in (errno.ENOENT, errno.ENOTDIR) and (blocked := _blocked(Path(path))):
        return blocked
    known = None if error.errno is None else _SENTENCES.get(error.errno)
    return known or (error.strerror or str(error) or type(error).__name__)


def _blocked(path: Path) -> str | None:
    """What is wrong with the folder of a path, or one above it; None where it is there."""
    folder = path.parent
    try:
        if folder.is_dir():
            return None
        above = next((one for one in folder.parents if one.exists()), None)
        if folder.exists() or (above is not None and not above.is_dir()):
            return f"{folder if folder.exists() else above} is a file, and no folder"
    except OSError:
        return None
    return f"there is no folder {folder}"
