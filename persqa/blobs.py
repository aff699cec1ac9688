"""BlobStore: image bytes by the digest of their content, so that Redis gets only a short reference.

Producers put bytes in, and workers get them out of the same store. Equal bytes are stored once.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import quote, unquote

from persqa.errors import SHORTAGES, BlobsUnavailable, Infrastructure, Rejected, SettingsError
from persqa.libraries import not_installed
from persqa.reasons import Reason
from persqa.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Generator

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(r"blob:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)

_NOTHING = hashlib.sha256().hexdigest()

#: Time limit for one object, where the store takes one.
_SECONDS = 60
#: The extra with the library of a scheme; all others are in `persqa[data]`.
_EXTRAS = {"gs": "gcs", "gcs": "gcs"}


class FileSystem(Protocol):
    """The used part of fsspec's file systems."""

    #: Whether it has an event loop of its own, so that its calls take a time limit.
    async_impl: bool

    def info(self, path: str, **options: object) -> dict[str, object]:
        """Size and kind of one object."""
        ...

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: object) -> bytes:
        """A part of one object."""
        ...

    def pipe_file(self, path: str, value: bytes) -> None:
        """Write one object."""
        ...

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, where the store has folders."""
        ...


def digest_of(data: bytes) -> str:
    """The name of these bytes in every blob store: their SHA-256 as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def blob_reference(digest: str, name: str = "") -> str:
    """The reference of a blob in records and messages.

    Args:
        digest: that of `BlobStore.put`.
        name: the name and path of the bytes at their origin, for people and for exports.
    """
    return f"blob:{digest}/{quote(name)}" if name else f"blob:{digest}"


def parse_blob_reference(reference: str) -> tuple[str, str] | None:
    """The digest and the name in a blob reference; None if it is not one."""
    found = _REFERENCE.fullmatch(reference)
    return None if found is None else (found[1], unquote(found[2] or ""))


class BlobStore:
    """A folder, or any store that fsspec knows; safe for many threads and processes."""

    def __init__(self, url: str | Path) -> None:
        """Prepare, without connecting.

        Args:
            url: a folder, or a URL such as s3://bucket/prefix; credentials and endpoints come from the environment.

        Raises:
            SettingsError: the URL is not that of a store, or its library is missing.
        """
        self.url = str(url)
        scheme = _SCHEME.match(self.url)
        self._objects: _Folder | _Remote
        if scheme is None or scheme[1] == "file":
            self._objects = _Folder(Path(self.url.removeprefix("file://")))
        else:
            self._objects = _Remote(self.url)

    @property
    def folder(self) -> Path | None:
        """The folder, if the store is one; what other stores have is never removed."""
        return self._objects.root if isinstance(self._objects, _Folder) else None

    @property
    def shown(self) -> str:
        """The store, for people."""
        return self._objects.shown

    def remove(self, digest: str) -> bool:
        """Remove a blob from a folder; returns whether it was there. Only for who has the folder alone.

        Raises:
            BlobsUnavailable: it is still there.
        """
        if not isinstance(self._objects, _Folder):
            return False
        with self._translated():
            return self._objects.remove(_path(digest))

    def put(self, data: bytes) -> str:
        """Store the bytes unless they are there, undamaged; returns their digest.

        Raises:
            BlobsUnavailable: they are not stored.
        """
        digest = digest_of(data)
        path = _path(digest)
        with self._translated():
            # Stores refuse to read a range of an empty object, so the size comes first.
            if self._objects.size(path) != len(data) or (data and self._objects.read(path, len(data)) != data):
                self._objects.write(path, data)
        return digest

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        """The bytes of this digest.

        Raises:
            Rejected: they are missing or damaged, or are more than allowed.
            BlobsUnavailable: the store does not answer.
            Infrastructure: this process or machine has run out of file handles or memory for opening files.
        """
        if not _DIGEST.fullmatch(digest):
            raise Rejected(Reason.BAD_URL, "a blob is named by 64 hexadecimal digits")
        if digest == _NOTHING:
            return b""  # stores refuse to read a range of an empty object
        with self._translated():
            data = self._objects.read(_path(digest), max_bytes + 1)
        if data is None:
            hint = "PERSQA_BLOB_STORE must be that of the submit; if it is, submit the data again, then requeue"
            raise Rejected(Reason.NOT_FOUND, f"not in the blob store {without_password(self.url)}; {hint}")
        if len(data) > max_bytes:
            raise Rejected(Reason.TOO_MANY_BYTES, f"more bytes than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)")
        if digest_of(data) != digest:
            raise Rejected(
                Reason.DAMAGED_BLOB, "the bytes in the blob store are damaged: submit the data again, then requeue"
            )
        return data

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except self._objects.failures as error:
            if isinstance(error, OSError) and error.errno in SHORTAGES:
                raise Infrastructure(f"cannot open image files: {os.strerror(error.errno or 0)}") from error
            cause = str(error) or repr(error)
            raise BlobsUnavailable(f"the blob store {self._objects.shown} failed: {cause}") from error


def open_file_system(url: str, *, what: str) -> tuple[FileSystem, str]:
    """The file system of a URL, and the path in it; `what` it is, for the error.

    Raises:
        SettingsError: fsspec does not know the scheme, or a library for it is missing.
    """
    scheme = url.partition("://")[0]
    extra = _EXTRAS.get(scheme, "data")
    try:
        from fsspec.core import url_to_fs

        found = url_to_fs(url)
    except ImportError as error:
        sentence = f"{what} {without_password(url)} needs a library that is not installed"
        raise SettingsError(not_installed(sentence, error, extra=extra)) from error
    except ValueError as error:
        raise SettingsError(f"{what} {without_password(url)} cannot be used ({error})") from error
    return cast("tuple[FileSystem, str]", found)


def _path(digest: str) -> str:
    """The path of a blob, below two levels of 256 folders, so that no folder grows large."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


class _Folder:
    """Blobs as files; each appears in one step, with all of its bytes."""

    failures = OSError

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shown = str(root)

    def size(self, path: str) -> int | None:
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        target = self.root / path
        # Each of several writers has a name of its own, and puts a whole file in place.
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(8)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                # Or a power cut could leave the name and not the bytes.
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, path: str, most: int) -> bytes | None:
        try:
            with (self.root / path).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> bool:
        try:
            (self.root / path).unlink()
        except FileNotFoundError:
            return False
        return True


class _Remote:
    """Blobs as objects of a store, which shows an object only when it is whole."""

    #: The libraries behind fsspec have no common error.
    failures = Exception

    def __init__(self, url: str) -> None:
        self.shown = without_password(url)
        self._files, root = open_file_system(url, what="the blob store")
        self._root = root.rstrip("/")
        self._limit = {"timeout": _SECONDS} if self._files.async_impl else {}

    def size(self, path: str) -> int | None:
        try:
            found = self._files.info(f"{self._root}/{path}", **self._limit).get("size")
        except FileNotFoundError:
            return None
        return found if isinstance(found, int) else None

    def write(self, path: str, data: bytes) -> None:
        target = f"{self._root}/{path}"
        try:
            self._files.pipe_file(target, data)
        except FileNotFoundError:
            # Not before: object stores have no folders, and to make one costs a request and may make a bucket.
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(target, data)

    def read(self, path: str, most: int) -> bytes | None:
        try:
            return self._files.cat_file(f"{self._root}/{path}", start=0, end=most, **self._limit)
        except FileNotFoundError:
            return None
