"""BlobStore: image bytes under the digest of their content, so that only a short reference travels through Redis.

A producer puts bytes in, workers get them out; both name the same store. The same bytes are stored once.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import quote, unquote

from persqa.errors import SHORTAGES, BlobsUnavailable, Infrastructure, Rejected, SettingsError
from persqa.libraries import not_installed
from persqa.reasons import Reason
from persqa.urls import without_password

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(r"blob:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)

_NOTHING = hashlib.sha256().hexdigest()

#: What one object may take, for stores that can be told.
_SECONDS = 60
#: Libraries that fsspec asks for by scheme; all others come with `persqa[data]`.
_EXTRAS = {"gs": "gcs", "gcs": "gcs"}


class FileSystem(Protocol):
    """What is used of fsspec's file systems."""

    #: Whether it waits on an event loop of its own, so that a call can be given a time limit.
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
        """Make a folder, where there are such things."""
        ...


def blob_reference(digest: str, name: str = "") -> str:
    """How a record or message refers to a blob.

    Args:
        digest: what `BlobStore.put` gave.
        name: what the bytes were called where they came from, its path included; for people, and for exports.
    """
    return f"blob:{digest}/{quote(name)}" if name else f"blob:{digest}"


def parse_blob_reference(reference: str) -> tuple[str, str] | None:
    """The digest and the name of a blob reference; None where it is no such reference."""
    found = _REFERENCE.fullmatch(reference)
    return None if found is None else (found[1], unquote(found[2] or ""))


class BlobStore:
    """A folder, or anything that fsspec knows by URL; for many threads and processes at once."""

    def __init__(self, url: str | Path) -> None:
        """Prepare, without connecting.

        Args:
            url: a folder, or a URL such as s3://bucket/prefix; credentials and endpoints come from the environment.

        Raises:
            SettingsError: the URL names no store, or its library is missing.
        """
        self.url = str(url)
        scheme = _SCHEME.match(self.url)
        self._objects: _Folder | _Remote
        if scheme is None or scheme[1] == "file":
            self._objects = _Folder(Path(self.url.removeprefix("file://")))
        else:
            self._objects = _Remote(self.url)

    def put(self, data: bytes) -> str:
        """Store the bytes, unless they are there already; returns their SHA-256 as hexadecimal digits.

        Raises:
            BlobsUnavailable: they are not stored.
        """
        digest = hashlib.sha256(data).hexdigest()
        # A file of another length is what a crash or a power cut has left of this one.
        if self._objects.size(_path(digest)) != len(data):
            self._objects.write(_path(digest), data)
        return digest

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        """The bytes of this digest, and no others.

        Raises:
            Rejected: they are not there, are more than allowed, or are not what was put in.
            BlobsUnavailable: the store does not answer; nothing is known of these bytes.
            Infrastructure: this process or machine has run out of file handles or memory for opening files.
        """
        if not _DIGEST.fullmatch(digest):
            raise Rejected(Reason.BAD_URL, "a blob is named by 64 hexadecimal digits")
        if digest == _NOTHING:
            return b""  # stores refuse to read a part of nothing
        data = self._objects.read(_path(digest), max_bytes + 1)
        if data is None:
            hint = "PERSQA_BLOB_STORE must be the same for workers as it was at the submit"
            raise Rejected(Reason.NOT_FOUND, f"not in the blob store {without_password(self.url)}; {hint}")
        if len(data) > max_bytes:
            raise Rejected(Reason.TOO_MANY_BYTES, f"more bytes than the allowed {max_bytes}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise Rejected(Reason.DAMAGED_BLOB, "the bytes in the blob store are damaged, submit the data again")
        return data


def open_file_system(url: str, *, setting: str) -> tuple[FileSystem, str]:
    """The file system of a URL, and the path in it; connects when first used.

    Args:
        url: such as s3://bucket/prefix.
        setting: the variable it comes from, for the sentence.

    Raises:
        SettingsError: fsspec, or the library it needs for this scheme, is missing, or it knows no such scheme.
    """
    scheme = url.partition("://")[0]
    extra = _EXTRAS.get(scheme, "data")
    try:
        from fsspec.core import url_to_fs  # pyright: ignore[reportUnknownVariableType]

        found = url_to_fs(url)  # pyright: ignore[reportUnknownVariableType]
    except ImportError as error:
        said = f"{setting}: {scheme}:// needs a library that is not installed"
        raise SettingsError(not_installed(said, error, extra=extra)) from error
    except ValueError as error:
        raise SettingsError(f"{setting}: {without_password(url)} cannot be used ({error})") from error
    return cast("tuple[FileSystem, str]", found)


def _path(digest: str) -> str:
    """Where a blob lies: two levels of 256 folders, so that none of them grows large."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


class _Folder:
    """Blobs as files; a name appears in one step, with all of its bytes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def size(self, path: str) -> int | None:
        try:
            return (self._root / path).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(str(self._root), error) from error

    def write(self, path: str, data: bytes) -> None:
        target = self._root / path
        # Its own name for each writer: of several that write the same bytes, each puts a whole file in place.
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(str(self._root), error) from error

    def read(self, path: str, most: int) -> bytes | None:
        try:
            with (self._root / path).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(str(self._root), error) from error


class _Remote:
    """Blobs as objects of a store; object stores show an object when all of it is there."""

    def __init__(self, url: str) -> None:
        self._shown = without_password(url)
        self._files, root = open_file_system(url, setting="PERSQA_BLOB_STORE")
        self._root = root.rstrip("/")
        self._limit = {"timeout": _SECONDS} if self._files.async_impl else {}

    def size(self, path: str) -> int | None:
        try:
            found = self._files.info(f"{self._root}/{path}", **self._limit).get("size")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise _unavailable(self._shown, error) from error
        return found if isinstance(found, int) else None

    def write(self, path: str, data: bytes) -> None:
        target = f"{self._root}/{path}"
        try:
            try:
                self._files.pipe_file(target, data)
            except FileNotFoundError:
                # Object stores have no folders, and asking them for one costs a request and may make a bucket.
                self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(target, data)
        except Exception as error:
            raise _unavailable(self._shown, error) from error

    def read(self, path: str, most: int) -> bytes | None:
        try:
            return self._files.cat_file(f"{self._root}/{path}", start=0, end=most, **self._limit)
        except FileNotFoundError:
            return None
        except Exception as error:
            # The libraries behind fsspec have no common error: anything that is not an answer is an outage.
            raise _unavailable(self._shown, error) from error


def _unavailable(store: str, error: Exception) -> Infrastructure:
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return Infrastructure(f"cannot open image files: {os.strerror(error.errno or 0)}")
    return BlobsUnavailable(f"the blob store {store} failed: {str(error) or repr(error)}")
