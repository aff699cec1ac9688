"""Cells of the image column: references as they are, and bytes in the blob store, so that only references travel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from persqa.blobs import blob_reference
from producer.dataflow.cells import json_cell

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
    match cell:
        case bytes():
            return _kept(cell, None, keep)
        case Mapping() if "bytes" in cell or "path" in cell:
            image = cast("Mapping[str, object]", cell)
            path = image.get("path")
            return _kept(image.get("bytes"), path if isinstance(path, str) else None, keep)
        case _:
            parts = _parts(cell)
    if parts is None:
        return json_cell(cell)
    references = [image_references(part, keep) for part in parts]
    return [reference for reference in references if reference is not None] or None


def _parts(cell: object) -> Iterable[object] | None:
    """The images of a cell that holds several: a list, an array of numpy, or a list as text."""
    found: object = json_cell(cell) if isinstance(cell, str) else cell
    if hasattr(found, "tolist"):
        found = cast("Any", found).tolist()
    return cast("Iterable[object]", found) if isinstance(found, list | tuple) else None


def _kept(data: object, path: str | None, keep: KeepBytes | None) -> JsonValue:
    if not isinstance(data, bytes):
        return path
    if keep is None:
        return {"bytes": len(data)}
    return blob_reference(keep(data), path or "")
