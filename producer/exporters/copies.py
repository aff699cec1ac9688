"""Copies: images that travel with an export, in a folder beside a text file, or inside a format that holds bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from persqa.data_uris import is_data_uri
from persqa.errors import Rejected
from persqa.images import Content, image_suffix, is_remote, normal_url, path_of_url, read_image, shown_reference
from persqa.urls import as_path, scheme_of
from producer.exporters.drafts import beside, folder_in_place, refuse_other_images
from producer.exporters.left import Left, LeftOut, OnLeft
from producer.exporters.paths import folder_beside

if TYPE_CHECKING:
    from persqa.blobs import BlobStore
    from persqa.images import ImageLimits
    from producer.exporters.trainers import Form

#: References whose copies are remembered: all questions of a record name the same images, one after the other.
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the images of a run are read from, by the same rules as workers have.

    Attributes:
        base: the folder of the run's input.
        limits: what may be read.
        blobs: the bytes that came inside the data.
        place: what becomes of a reference whose image is not copied.
        on_left: called for each such reference.
        form: that of dialogues, if they are for these: without its image, one is left out.
    """

    base: Path
    limits: ImageLimits
    blobs: BlobStore
    place: Callable[[str], str]
    on_left: OnLeft
    form: Form | None = None

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
        """Tell of a reference that is not copied; returns what the export has instead.

        Raises:
            LeftOut: a dialogue needs it; who leaves it out tells of it.
        """
        if self.form is not None and not _is_opened(left.reference, self.form):
            raise LeftOut(replace(left, dropped=True))
        self.on_left(left)
        return self.place(left.reference)


def must_be_copied(form: Form) -> Callable[[str], bool]:
    """Whether a trainer does not open what a reference leads to, so that it has to travel."""
    return lambda reference: scheme_of(reference) not in ("", "file") and not _is_opened(reference, form)


def _is_opened(reference: str, form: Form) -> bool:
    """Whether a trainer fetches it."""
    return scheme_of(reference) in form.fetches


def as_opened(reference: str) -> str:
    """A path in place of the URL of a file, since trainers open paths."""
    try:
        return path_of_url(normal_url(reference)) if scheme_of(reference) == "file" else reference
    except Rejected:
        return reference


class ImageFolder:
    """The copies beside a text file, each named by the digest of its content; the folder appears with the file."""

    def __init__(
        self, file: Path, source: Source, *, only: Callable[[str], bool] | None = None, prefix: str = ""
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            file: the text file.
            source: reads the images.
            only: whether a reference is to be copied, by default all are; any other is placed as without copies.
            prefix: stands in front of references to copies; empty where they start at the folder of the file.

        Raises:
            InputError: a folder of that name has something else in it.
        """
        self._folder = folder_beside(file)
        self._draft: Path | None = None
        self._source = source
        self._only = only
        self._prefix = prefix
        self._copied = lru_cache(_REMEMBERED)(self._copy)
        refuse_other_images(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._draft is not None:
            shutil.rmtree(self._draft, ignore_errors=True)

    def __call__(self, reference: str) -> str:
        """The reference as the export has it: to a copy, if there can be one.

        Raises:
            LeftOut: there can be none, and a dialogue needs it.
        """
        # What is inside its reference travels already, but no trainer looks there.
        stays = is_data_uri(reference) and self._source.form is None
        if not reference or stays or not (self._only is None or self._only(reference)):
            return self._source.place(reference)
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
        return as_path(f"{self._prefix}{self._folder.name}/{name}")


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
