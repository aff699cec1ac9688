"""Image references in exports: blob references become bytes again where the format can hold bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypedDict

from persqa.blobs import parse_blob_reference
from persqa.errors import Rejected

if TYPE_CHECKING:
    from pydantic import JsonValue

#: No real limit: the store measured every blob when it was put there.
_MOST_BYTES = 2**31 - 1


class Blobs(Protocol):
    """A store of bytes by digest."""

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        """The bytes of a digest.

        Raises:
            Rejected: the store lacks them.
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
    """Whether a column of images can hold the value: null, text, or a list of texts."""
    parts = value if isinstance(value, list) else [value]
    return all(part is None or isinstance(part, str) for part in parts)


def image_cell(reference: str, blobs: Blobs) -> ImageCell:
    """The bytes of a blob with their old name; any other reference, or one to a missing blob, stays a reference."""
    found = parse_blob_reference(reference)
    if found is None:
        return {"bytes": None, "path": reference}
    digest, name = found
    try:
        return {"bytes": blobs.get(digest, max_bytes=_MOST_BYTES), "path": name or None}
    except Rejected:
        return {"bytes": None, "path": reference}
