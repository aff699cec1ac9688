"""From a reference of any kind to its bytes, and from these to an image."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

from persqa.blobs import parse_blob_reference
from persqa.data_uris import decode_data_uri
from persqa.errors import Rejected, SettingsError
from persqa.images.decoding import decode, suffix_of
from persqa.images.local_files import path_of_url, read_file
from persqa.images.naming import shown_reference
from persqa.images.objects import read_object
from persqa.images.urls import check_listed, normal_url, parse_url
from persqa.libraries import not_installed
from persqa.reasons import Reason
from persqa.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from PIL.Image import Image

    from persqa.blobs import BlobStore
    from persqa.images.limits import ImageLimits, Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes that a reference names, and their SHA-256 as hexadecimal digits."""

    data: bytes
    digest: str


def is_remote(reference: str) -> bool:
    """Whether a server has to be asked for it."""
    return scheme_of(reference) not in {"", "file", "data"}


def read_image(
    reference: str, *, base: Path, limits: ImageLimits, blobs: BlobStore | None = None, stop: Event | None = None
) -> Content:
    """Read what a reference names, without decoding it.

    Args:
        reference: that of the data, or the `blob:` reference that the producer put in its place.
        base: the folder of the data file, where relative paths start.
        limits: what is allowed.
        blobs: the store of `blob:` references.
        stop: set when waiting for servers is to end.

    Raises:
        Rejected: the reference names nothing that may be used; the sentence begins with the reference.
        BlobsUnavailable: the blob store does not answer.
        Infrastructure: this process or machine lacks a resource.
        SettingsError: a library that a store needs is missing.
    """
    stop = stop or Event()
    with _named(reference):
        match scheme_of(reference):
            case "":
                data = read_file(reference, base=base, limits=limits)
            case "file":
                data = read_file(path_of_url(normal_url(reference)), base=base, limits=limits)
            case "data":
                data = decode_data_uri(reference, max_bytes=limits.max_bytes)
            case "blob":
                return _blob(reference, limits, blobs)
            case "http" | "https":
                data = _fetch(reference, limits, stop)
            case _:
                data = read_object(normal_url(reference), limits=limits, stop=stop)
    return Content(data=data, digest=hashlib.sha256(data).hexdigest())


def decode_image(
    content: Content, reference: str, *, limits: ImageLimits, resolution: Resolution | None = None
) -> Image:
    """Decode the content of a reference; see `decode`. The sentence of an error begins with the reference."""
    with _named(reference):
        return decode(content.data, max_pixels=limits.max_pixels, resolution=resolution)


def image_suffix(content: Content, reference: str) -> str:
    """The usual suffix for the content of a reference, such as `.jpg`; raises BadContent if it is no image."""
    with _named(reference):
        return suffix_of(content.data)


def check_web() -> None:
    """Raise SettingsError if the library is missing that fetches images from the web."""
    try:
        import_module("persqa.images.web")
    except ImportError as error:
        said = "fetching images from PERSQA_IMAGE_HOSTS needs a library that is not installed"
        raise SettingsError(not_installed(said, error)) from error


def _fetch(url: str, limits: ImageLimits, stop: Event) -> bytes:
    address = parse_url(url)
    check_listed(address, limits.hosts)
    # Its library is needed only where a host is allowed.
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
    """Put the reference in front of the sentence of an error."""
    try:
        yield
    except Rejected as rejected:
        if reference:
            rejected.args = (f"{shown_reference(reference)}: {rejected}",)
        raise
