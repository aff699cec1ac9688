"""Paths: where the references of a run's records lead to from the place of an export."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.image_cells import with_reference
from persqa.urls import as_path, is_relative_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue


class Paths(StrEnum):
    """How an export refers to the image files of its run."""

    RELATIVE = "relative"  #: from the export's own folder
    ABSOLUTE = "absolute"  #: from the root, for programs that do not know where the export lies
    COPY = "copy"  #: to copies, which travel with the export


@dataclass(frozen=True, slots=True)
class Placement:
    """Makes references that start at the folder of a run's input start elsewhere.

    Attributes:
        prefix: what such a reference gets in front, with its last slash; empty where the export lies beside the input.
    """

    prefix: str

    def __call__(self, reference: str) -> str:
        """The reference as the export has it; only a relative path is changed."""
        if not reference or not is_relative_path(reference):
            return reference
        # As it is, and not in normal form: behind a link to a folder, `..` leads elsewhere.
        return as_path(self.prefix + reference)


#: Of an export beside the input.
UNCHANGED = Placement("")


def placement(base: str, folder: Path, paths: Paths) -> Placement:
    """How references get from a run's folder to that of an export.

    Args:
        base: the folder of the run's input.
        folder: the folder of the export, which need not exist.
        paths: relative, else absolute.
    """
    start = os.path.realpath(base)
    if paths is Paths.RELATIVE:
        # With all links resolved on both sides, `..` leads where it seems to.
        way = os.path.relpath(start, os.path.realpath(folder))
        return Placement("" if way == os.curdir else f"{way}/")
    return Placement(f"{start.rstrip('/')}/")


def each_reference(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """The value of an image field with every reference in it changed, those in cells, too; all else stays."""
    if isinstance(value, list):
        return [with_reference(part, change) for part in value]
    return with_reference(value, change)


def folder_beside(file: Path) -> Path:
    """The folder of the copies of a text file; its name has all of the file's, so that no two exports share one."""
    return file.with_name(f"{file.name}-images")
