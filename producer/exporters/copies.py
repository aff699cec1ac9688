"""Copies: images that travel with an export, in a folder beside a text file, or inside a format that holds bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from persqa.data_uris import is_data_uri
from persqa.errors import Rejected
from persqa.images import Content, image_suffix, is_remote, read_image, shown_reference
from persqa.urls import as_path, scheme_of
from producer.exporters.drafts import beside, folder_in_place, refuse_other_images
from producer.exporters.paths import Placement, folder_beside

if TYPE_CHECKING:
    from persqa.blobs import BlobStore
    from persqa.images import ImageLimits

#: References whose copies are remembered: all questions of a record name the same images, one after the other.
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A reference of an export whose image is not copied.

    Attributes:
        reference: as the record has it.
        why: a sentence that begins with the reference.
        remote: whether a server would have to be asked for it, which an export never does.
    """

    reference: str
    why: str
    remote: bool


OnLeft: TypeAlias = Callable[[Left], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the images of a run are read from, by the same rules as workers have.

    Attributes:
        base: the folder of the run's input.
        limits: what may be read.
        blobs: the bytes that came inside the data.
        place: what becomes of a reference whose image is not copied.
        on_left: called for each such reference.
    """

    base: Path
    limits: ImageLimits
    blobs: BlobStore
    place: Placement
    on_left: OnLeft

    def read(self, reference: str) -> tuple[Content, str] | Left:
        """The content of an image, and the suffix of a file with it; or why it is not copied.

        Raises:
            BlobsUnavailable: the blob store does not answer.
            Infrastructure: this process or machine lacks a resource.
        """
        if is_remote(reference) and scheme_of(reference) != "blob":
            return Left(reference=reference, why=f"{shown_reference(reference)}: nothing is fetched", remote=True)
        try:
            content = read_image(reference, base=self.base, limits=self.limits, blobs=self.blobs)
            return content, _suffix(content, reference)
        except Rejected as rejected:
            return Left(reference=reference, why=str(rejected), remote=False)

    def left(self, left: Left) -> str:
        """Tell of a reference that is not copied; returns what the export has instead."""
        self.on_left(left)
        return self.place(left.reference)


class ImageFolder:
    """The copies beside a text file, each named by the digest of its content; the folder appears with the file."""

    def __init__(self, file: Path, source: Source) -> None:
        """Prepare; nothing is written yet.

        Raises:
            InputError: a folder of that name has something else in it.
        """
        self._folder = folder_beside(file)
        self._draft: Path | None = None
        self._source = source
        self._copied = lru_cache(_REMEMBERED)(self._copy)
        refuse_other_images(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._draft is not None:
            shutil.rmtree(self._draft, ignore_errors=True)

    def __call__(self, reference: str) -> str:
        """The reference as the export has it: to a copy, if there can be one."""
        if not reference or is_data_uri(reference):
            return reference
        copied = self._copied(reference)
        return self._source.left(copied) if isinstance(copied, Left) else copied

    @contextmanager
    def in_place(self) -> Generator[None]:
        """Let the copies replace those of an earlier export, which come back if the block fails."""
        with folder_in_place(self._draft, self._folder):
            yield

    def _copy(self, reference: str) -> str | Left:
        found = self._source.read(reference)
        if isinstance(found, Left):
            return found
        content, suffix = found
        if self._draft is None:
            draft = beside(self._folder, "part")
            draft.mkdir()
            self._draft = draft
        name = f"{content.digest}{suffix}"
        target = self._draft / name
        if not target.exists():
            target.write_bytes(content.data)
        return as_path(f"{self._folder.name}/{name}")


def _suffix(content: Content, reference: str) -> str:
    """The suffix of an image.

    Raises:
        Rejected: it is a file and no image, so nobody was asked about it, and it is nobody's to pass on.
    """
    try:
        return image_suffix(content, reference)
    except Rejected:
        if scheme_of(reference) == "blob":
            return ""  # it came inside the data
        raise
