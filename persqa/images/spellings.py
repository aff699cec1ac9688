"""Spellings: what programs make of the name of a file, so that a record does not have it letter for letter."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.bare_base64 import BLANKS
from persqa.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: So many folders of different spellings are looked into at once, at most.
_MOST_FOLDERS = 16


def spelled_otherwise(path: str, resolve: Callable[[str], Path], roots: Sequence[Path]) -> Path | None:
    """The one file that a path means which names none; None where there is no such file, or more than one.

    Tried are the path without the blanks around it, with strokes for the backslashes of Windows, and with accents as
    one character or as two (NFC, NFD), which systems disagree about.

    Args:
        path: as given.
        resolve: resolves a path with all its links, and refuses what is not under a root.
        roots: resolved folders; nothing outside is looked at.
    """
    found: set[Path] = set()
    for spelling in _without_blanks_and_backslashes(path):
        try:
            resolved = resolve(spelling)
        except Rejected:
            continue
        for root in roots:
            if resolved.is_relative_to(root):
                found.update(_with_accents(root, resolved.relative_to(root).parts, roots))
    return found.pop() if len(found) == 1 else None


def _without_blanks_and_backslashes(path: str) -> Iterable[str]:
    bare = path.strip(BLANKS)
    spellings = (path, bare, path.replace("\\", "/"), bare.replace("\\", "/"))
    return dict.fromkeys(spelling for spelling in spellings if spelling)


def _with_accents(root: Path, names: Sequence[str], roots: Sequence[Path]) -> Iterator[Path]:
    """What is there below a root under these names, each in its own form or in another one."""
    folders = [root]
    for name in names:
        forms = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
        below = (Path(os.path.realpath(folder / form)) for folder in folders for form in forms)
        # Links are followed at each step, so that nobody learns what is outside.
        inside = dict.fromkeys(one for one in below if any(map(one.is_relative_to, roots)) and os.path.lexists(one))
        folders = list(inside)[:_MOST_FOLDERS]
    yield from folders
