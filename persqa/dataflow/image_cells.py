"""Cells of the image column: references as they are, and bytes in the blob store, so that only references travel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias, cast

from persqa.blobs import blob_reference
from persqa.dataflow.cells import json_cell

if TYPE_CHECKING:
    from pydantic import JsonValue

#: Stores bytes, and gives their digest.
KeepBytes: TypeAlias = Callable[[bytes], str]


def image_references(cell: object, keep: KeepBytes | None) -> JsonValue:
    """A reference, a list of them, or None for no image at all.

    Args:
        cell: a reference, bytes, a `{"bytes", "path"}` as data sets have it, or several of these.
        keep: what to do with bytes; without it they are no image that can be asked about.

    Returns:
        Something else where the cell is no image; whoever checks the record says so.
    """
    if isinstance(cell, bytes) or (isinstance(cell, Mapping) and "bytes" in cell):
        return _reference(cast("bytes | Mapping[str, object]", cell), keep)
    parts = _parts(cell)
    if parts is not None:
        references = [image_references(part, keep) for part in parts]
        return [reference for reference in references if reference is not None] or None
    return json_cell(cell)


def _parts(cell: object) -> Iterable[object] | None:
    """The images of a cell that holds several: a list, an array of numpy, or a list as text."""
    if hasattr(cell, "tolist") and not isinstance(cell, list):
        cell = cast("object", cell.tolist())  # pyright: ignore[reportAttributeAccessIssue]
    elif isinstance(cell, str):
        cell = json_cell(cell)
    return cast("Iterable[object]", cell) if isinstance(cell, list | tuple) else None


def _reference(cell: bytes | Mapping[str, object], keep: KeepBytes | None) -> JsonValue:
    data, path = (cell, None) if isinstance(cell, bytes) else (cell["bytes"], cell.get("path"))
    if not isinstance(data, bytes):
        return path if isinstance(path, str) else None
    if keep is None:
        return {"bytes": len(data)}
    return blob_reference(keep(data), PurePosixPath(path).name if isinstance(path, str) else "")
