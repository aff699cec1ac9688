"""Patterns of file names: `shard-{000..003}.tar` and `photos/**/*.jpg`."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from persqa.errors import InputError
from persqa.libraries import library
from producer.readers.passed import Passed

_MAGIC = re.compile(r"[*?\[{]")
_UNUSABLE = re.compile(r"[^A-Za-z0-9._]+")


def is_pattern(text: str) -> bool:
    """Whether a name is a pattern; the name of an existing file is none."""
    return _MAGIC.search(text) is not None and not Path(text).exists()


def in_braces(pattern: str) -> list[str]:
    """The names that the braces stand for, in their order.

    Raises:
        InputError: the library is missing, or the braces do not match.
    """
    if "{" not in pattern:
        return [pattern]
    expand = library("braceexpand", "a pattern in braces")
    try:
        return list(dict.fromkeys(expand.braceexpand(pattern)))
    except expand.UnbalancedBracesError:
        raise InputError(f"{pattern}: the braces do not match") from None


def matches(pattern: str, passed: Passed | None = None) -> Iterator[str]:
    """The files of one pattern without braces, in no order; of a plain name, itself.

    Args:
        pattern: with stars, or a plain name.
        passed: gets what else the pattern matches.

    Raises:
        InputError: a plain name is no file.
    """
    if _MAGIC.search(pattern) is None:
        if not Path(pattern).is_file():
            raise InputError(f"no such file: {pattern}")
        yield pattern
        return
    for found in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - lists as it goes, and follows no links
        if Path(found).is_file():
            yield found
        elif passed is not None:
            other = "link to nothing" if Path(found).is_symlink() else "special file"
            passed.add("folder" if Path(found).is_dir() else other, found)


def fixed_folder(pattern: str) -> Path:
    """The folder above all that a pattern finds."""
    parts = Path(pattern).parts[:-1]
    fixed = next((at for at, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    return Path(*parts[:fixed])


def name_of(pattern: str, stem: str) -> str:
    """A run's name from a file's stem without the signs of patterns, else from its folder's name."""
    return _UNUSABLE.sub("-", stem).strip("-._") or fixed_folder(pattern).resolve().name or "run"
