"""Cells of images in exports: where the format can hold bytes, blob references become bytes again, and copies go in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol, TypedDict

from persqa.blobs import parse_blob_reference
from persqa.data_uris import is_data_uri
from persqa.errors import Rejected
from persqa.image_cells import is_whole_in, reference_in
from persqa.store.text import storable
from persqa.urls import is_relative_path, scheme_of
from producer.exporters.left import Left, LeftOut, nobody
from producer.exporters.spool import as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

    from producer.exporters.copies import Source
    from producer.exporters.left import OnLeft

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

    def __init__(
        self,
        blobs: Blobs,
        *,
        source: Source | None = None,
        column: str | None = None,
        only: Callable[[str], bool] | None = None,
        decoded: bool = False,
        on_left: OnLeft = nobody,
    ) -> None:
        """Take bytes from the blob store.

        Args:
            blobs: the store.
            source: reads every other image, too; without it they stay references.
            column: that of the references, which makes the most of them, whatever else is in it.
            only: whether a reference makes that column one of images, as a blob does; by default, whether it is at
                hand, which needs the source.
            decoded: whether a Parquet file says that `datasets` is to decode the images.
            on_left: called for what the blob store lacks, where there is no source.
        """
        self._blobs = blobs
        self._source = source
        self._column = column
        self._makes = only or _is_at_hand
        self.on_left = on_left
        self.decoded = decoded

    def makes_images(self, column: str, value: JsonValue) -> bool:
        """Whether a column with this value is one of images, if all of its values can be."""
        if is_blob(value):
            return True
        parts = value if isinstance(value, list) else [value]
        references = map(reference_in, parts)
        return column == self._column and any(isinstance(found, str) and self._makes(found) for found in references)

    def takes(self, column: str, value: JsonValue) -> bool:
        """Whether a column of images can hold the value."""
        return column == self._column or is_reference(value)

    def lists(self, column: str, value: JsonValue) -> bool:
        """Whether a column of lists of references can hold the value."""
        return column == self._column and is_reference(value)

    def cell(self, value: JsonValue) -> ImageCell | None:
        """The cell of one image; what cannot be read stays a reference, in place of a name.

        Raises:
            BlobsUnavailable: the blob store does not answer.
            LeftOut: it cannot be read, and a dialogue needs it.
        """
        value = reference_in(value)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            cell = ImageCell(bytes=None, path=as_text(value))
        elif self._source is None:
            cell = image_cell(value, self._blobs, self.on_left)
        else:
            cell = _read(value, self._source)
        # The name of a file need not be UTF-8, and text of these formats must be.
        return {**cell, "path": cell["path"] and storable(cell["path"])}


def is_blob(value: JsonValue) -> bool:
    """Whether the value is a blob reference, or a list with one in it."""
    if isinstance(value, list):
        return any(is_blob(part) for part in value)
    found = reference_in(value) if is_whole_in(value) else None
    return isinstance(found, str) and found.startswith("blob:") and parse_blob_reference(found) is not None


def is_reference(value: JsonValue) -> bool:
    """Whether a column of images can hold the value: null, a reference, a cell of nothing else, or a list of these."""
    parts = value if isinstance(value, list) else [value]
    return all(is_whole_in(part) and isinstance(reference_in(part), str | None) for part in parts)


def image_cell(reference: str, blobs: Blobs, on_left: OnLeft = nobody) -> ImageCell:
    """The bytes of a blob with their old name; any other reference, or one to a missing blob, stays a reference."""
    found = parse_blob_reference(reference)
    if found is None:
        return {"bytes": None, "path": reference}
    digest, name = found
    try:
        return {"bytes": blobs.get(digest, max_bytes=_MOST_BYTES), "path": name or None}
    except Rejected as rejected:
        on_left(Left(reference=reference, why=f"{reference}: {rejected}"))
        return {"bytes": None, "path": reference}


def _is_at_hand(reference: str) -> bool:
    """Whether no server has to be asked for the image."""
    return scheme_of(reference) in ("", "file", "data", "blob")


def _read(reference: str, source: Source) -> ImageCell:
    found = source.read(reference)
    if not isinstance(found, tuple):
        if source.form is not None:
            # A cell of bytes is none of a reference, even to a trainer that would fetch it.
            raise LeftOut(replace(found, dropped=True))
        return {"bytes": None, "path": source.left(found)}
    return {"bytes": found[0].data, "path": _name_of(reference)}


def _name_of(reference: str) -> str | None:
    """The name of an image, for people; of a relative path, all of it."""
    if is_relative_path(reference):
        return reference
    blob = parse_blob_reference(reference)
    if blob is not None:
        return blob[1] or None
    return None if is_data_uri(reference) else PurePosixPath(reference).name
