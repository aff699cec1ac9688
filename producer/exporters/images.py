"""Image references in exports: those of the blob store become bytes again, where a format can hold bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypedDict

from persqa.blobs import parse_blob_reference
from persqa.errors import Rejected

if TYPE_CHECKING:
    from pydantic import JsonValue

#: What was put into the store was measured then.
_MOST_BYTES = 2**31 - 1


class Blobs(Protocol):
    """Where bytes are by their digest."""

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        """The bytes of this digest.

        Raises:
            Rejected: they are not there.
        """
        ...


class ImageCell(TypedDict):
    """An image as Parquet files and Hugging Face data sets hold it."""

    bytes: bytes | None
    path: str | None


def is_blob(value: JsonValue) -> bool:
    """Whether the value is a blob reference, or a list with one in it."""
    if isinstance(value, list):
        return any(is_blob(part) for part in value)
    return isinstance(value, str) and value.startswith("blob:") and parse_blob_reference(value) is not None


def is_reference(value: JsonValue) -> bool:
    """Whether the value can stand in a column of images: nothing, text, or a list of texts."""
    parts = value if isinstance(value, list) else [value]
    return all(part is None or isinstance(part, str) for part in parts)


def image_cell(reference: str, blobs: Blobs) -> ImageCell:
    """The bytes with the name they once had; a reference to anything else, or to what is gone, stays one."""
    found = parse_blob_reference(reference)
    if found is None:
        return {"bytes": None, "path": reference}
    digest, name = found
    try:
        return {"bytes": blobs.get(digest, max_bytes=_MOST_BYTES), "path": name or None}
    except Rejected:
        return {"bytes": None, "path": reference}
