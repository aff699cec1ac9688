"""Provenance: what answered a run: the model and its files, and the programs that ran it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What one worker answers with.

    Attributes:
        model: its name.
        files: the digest of its files, as `digest_of` makes it; empty where it has none that are known.
        revision: the commit of the hub that the files are of; empty for a folder of one's own.
        engine: the package of the engine and its version.
        version: that of PersQA.
    """

    model: str
    files: str = ""
    revision: str = ""
    engine: str = ""
    version: str = ""


def digest_of(folder: Path, *, stop: Callable[[], bool] = lambda: False) -> str:
    """The digest of a model: SHA-256 over the names and the contents of its files, the same wherever they lie.

    Where the hub's cache has named a file after the SHA-256 of its content, that is taken from the name, so that
    nothing large is read. A file that cannot be read counts by its name alone.

    Args:
        folder: with the files.
        stop: asked now and then; says that nobody wants the digest any more, which is empty then.
    """
    whole = hashlib.sha256()
    for name, path in _files(folder):
        if stop():
            return ""
        content = _known(path) or _read(path, stop)
        whole.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    # What begins with a dot is left behind by tools, and no part of the model.
    own = ((path.relative_to(folder).as_posix(), path) for path in found)
    return iter(sorted((name, path) for name, path in own if not name.startswith(".") and "/." not in name))


def _known(path: Path) -> str:
    name = path.resolve().name if path.is_symlink() else ""
    return name if len(name) == 64 and not set(name) - set("0123456789abcdef") else ""


def _read(path: Path, stop: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while (some := file.read(_AT_ONCE)) and not stop():
                digest.update(some)
    except OSError:
        return ""
    return digest.hexdigest()
