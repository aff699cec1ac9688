"""Cells of images in exports: where the format can hold bytes, blob references become bytes again, and copies go in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypedDict, cast

from persqa.blobs import parse_blob_reference
from persqa.errors import Rejected
from persqa.store.text import storable

if TYPE_CHECKING:
    from pydantic import JsonValue

    from producer.exporters.copies import Embedding

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


class Cells:
    """Makes the cells of columns of images."""

    def __init__(self, blobs: Blobs, embedding: Embedding | None = None) -> None:
        """Take bytes from the blob store; with `embedding`, all other images of its column go in as well."""
        self._blobs = blobs
        self._embedding = embedding

    def makes_images(self, column: str, value: JsonValue) -> bool:
        """Whether a column with this value is one of images, if all of its values can be."""
        return is_blob(value) or (self._embeds(column) and value is not None)

    def takes(self, column: str, value: JsonValue) -> bool:
        """Whether a column of images can hold the value."""
        return self._embeds(column) or is_reference(value)

    def cell(self, column: str, value: JsonValue) -> ImageCell | None:
        """The cell of one image.

        Raises:
            BlobsUnavailable: the blob store does not answer.
        """
        if value is None:
            return None
        if self._embedding is not None and self._embeds(column):
            cell = self._embedding.cell(value)
        else:
            cell = image_cell(cast("str", value), self._blobs)
        # The name of a file need not be UTF-8, and text of these formats must be.
        return {**cell, "path": cell["path"] and storable(cell["path"])}

    def _embeds(self, column: str) -> bool:
        return self._embedding is not None and self._embedding.column == column


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
