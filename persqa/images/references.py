"""From a reference to the bytes it names, and to the picture: the one place that knows every kind of reference."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

from persqa.bad_images import BadContent, BadImage
from persqa.blobs import parse_blob_reference
from persqa.data_uris import decode_data_uri
from persqa.errors import Rejected, SettingsError
from persqa.images.decoding import Undecodable, decode
from persqa.images.local_files import path_of_url, read_file
from persqa.images.naming import shown_reference
from persqa.images.objects import read_object
from persqa.images.urls import check_listed, parse_url
from persqa.libraries import not_installed
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from PIL.Image import Image

    from persqa.blobs import BlobStore
    from persqa.images.limits import ImageLimits, Resolution

_SCHEME = re.compile(r"(data|blob|file(?=:/)|[a-z][a-z0-9+.-]*(?=://)):", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a reference led to.

    Attributes:
        data: all of the bytes.
        digest: their SHA-256, as hexadecimal digits.
    """

    data: bytes
    digest: str


def scheme_of(reference: str) -> str:
    """The kind of the reference, in lower case; empty for a path."""
    found = _SCHEME.match(reference)
    return found[1].lower() if found else ""


def is_remote(reference: str) -> bool:
    """Whether reading it means waiting for a server."""
    return scheme_of(reference) not in {"", "file", "data"}


def read_image(
    reference: str, *, base: Path, limits: ImageLimits, blobs: BlobStore | None = None, stop: Event | None = None
) -> Content:
    """Read what a reference names; nothing is decoded.

    Args:
        reference: as the data names it, or as the producer replaced it.
        base: the folder of the data file, where relative paths start.
        limits: where it may come from, how large it may be, and how long that may take.
        blobs: where `blob:` references lead.
        stop: set when waiting for servers is to end.

    Raises:
        Rejected: the reference names nothing that may be used; the sentence begins with the reference.
        BlobsUnavailable: the blob store does not answer.
        Infrastructure: this process or machine is short of something.
        SettingsError: a library that a store needs is missing.
    """
    stop = stop or Event()
    with _named(reference):
        match scheme_of(reference):
            case "":
                data = read_file(reference, base=base, limits=limits)
            case "file":
                data = read_file(path_of_url(reference), base=base, limits=limits)
            case "data":
                data = decode_data_uri(reference, max_bytes=limits.max_bytes)
            case "blob":
                return _blob(reference, limits, blobs)
            case "http" | "https":
                data = _fetch(reference, limits, stop)
            case _:
                data = read_object(reference, limits=limits, stop=stop)
    return Content(data=data, digest=hashlib.sha256(data).hexdigest())


def decode_image(
    content: Content, reference: str, *, limits: ImageLimits, resolution: Resolution | None = None
) -> Image:
    """Decode what a reference led to; see `decode`.

    Raises:
        BadContent: the bytes are no picture.
        Rejected: they may not be used here; the sentence of both begins with the reference.
    """
    try:
        with _named(reference):
            return decode(content.data, max_pixels=limits.max_pixels, resolution=resolution)
    except Undecodable as error:
        found = BadImage(digest=content.digest, reason=error.reason, detail=str(error))
        raise BadContent(f"{shown_reference(reference)}: {error}", image=found) from error


def load_image(reference: str, *, base: Path, limits: ImageLimits, resolution: Resolution | None = None) -> Image:
    """Read and decode one image.

    Raises:
        BadContent: what it names is no picture.
        Rejected: it names no image that may be used; the sentence of both begins with the reference.
        Infrastructure: this process or machine is short of something.
    """
    content = read_image(reference, base=base, limits=limits)
    return decode_image(content, reference, limits=limits, resolution=resolution)


def check_web() -> None:
    """Make sure that images can be fetched from the web, where hosts are allowed.

    Raises:
        SettingsError: the library is missing.
    """
    try:
        import_module("persqa.images.web")
    except ImportError as error:
        said = "PERSQA_IMAGE_HOSTS: http needs a library that is not installed"
        raise SettingsError(not_installed(said, error)) from error


def _fetch(url: str, limits: ImageLimits, stop: Event) -> bytes:
    address = parse_url(url)
    check_listed(address, limits.hosts)
    # Its library need not be there where no host is allowed.
    from persqa.images.web import fetch

    return fetch(address, limits=limits, stop=stop)


def _blob(reference: str, limits: ImageLimits, blobs: BlobStore | None) -> Content:
    found = parse_blob_reference(reference)
    if found is None or blobs is None:
        raise Rejected(Reason.BAD_URL, "no reference to a blob" if blobs else "there is no blob store here")
    digest = found[0]
    data = blobs.get(digest, max_bytes=limits.max_bytes)
    if not data:
        raise Rejected(Reason.EMPTY_FILE, "the blob is empty")
    return Content(data=data, digest=digest)


@contextmanager
def _named(reference: str) -> Generator[None]:
    """Let every sentence begin with the reference it is about."""
    try:
        yield
    except Undecodable:
        raise
    except Rejected as rejected:
        if not reference:
            raise
        raise Rejected(rejected.reason, f"{shown_reference(reference)}: {rejected}") from rejected
