"""Objects of stores that fsspec knows (s3://, gs://, ...), within allowed prefixes and limits of size and time."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from persqa.blobs import open_file_system
from persqa.errors import SHORTAGES, Infrastructure, Rejected
from persqa.images.naming import printable
from persqa.images.patience import Deadline, Trouble, patiently
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Event

    from persqa.blobs import FileSystem
    from persqa.images.limits import ImageLimits

_LONGEST_URL = 8192
#: `::` chains file systems, so that the part behind it would evade the allowed prefixes.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|::")
_UPWARDS = re.compile(r"/\.{1,2}(?:/|$)")


def read_object(url: str, *, limits: ImageLimits, stop: Event) -> bytes:
    """The content of an object, with a URL such as s3://bucket/name; `stop` ends the waiting.

    Raises:
        Rejected: it may not be read, or cannot be.
        Infrastructure: this machine lacks a resource, or the worker is stopping.
        SettingsError: the library for this store is missing.
    """
    if len(url) > _LONGEST_URL:
        raise Rejected(Reason.BAD_URL, f"the URL is longer than {_LONGEST_URL} characters")
    if _UNUSABLE.search(url) or _UPWARDS.search(url):
        raise Rejected(Reason.BAD_URL, "the URL contains ::, a backslash, a control character, or leads upwards")
    if not is_under(url, limits.stores):
        listed = "PERSQA_IMAGE_STORES names those that are" if limits.stores else "PERSQA_IMAGE_STORES names none"
        raise Rejected(Reason.STORE_NOT_ALLOWED, f"this store is not allowed; {listed}")
    files, path = open_file_system(url, what="the image store")
    return patiently(partial(_read, files, path, limits.max_bytes), seconds=limits.seconds, stop=stop)


def is_under(url: str, prefixes: Iterable[str]) -> bool:
    """Whether the URL starts with one of the prefixes, followed by the end of a path segment."""
    return any(url.startswith(prefix if prefix.endswith("/") else f"{prefix}/") for prefix in prefixes)


def _read(files: FileSystem, path: str, max_bytes: int, deadline: Deadline) -> bytes:
    limit = {"timeout": deadline.left()} if files.async_impl else {}
    try:
        data = files.cat_file(path, start=0, end=max_bytes + 1, **limit)
    except FileNotFoundError as error:
        raise Rejected(Reason.NOT_FOUND, "no such object") from error
    except IsADirectoryError as error:
        raise Rejected(Reason.NOT_A_FILE, "a folder, not an object") from error
    except PermissionError as error:
        raise Rejected(Reason.NOT_PERMITTED, "the store does not permit it") from error
    except Exception as error:
        # The libraries behind fsspec have no common error.
        raise _failure(files, path, error, deadline) from error
    if not data:
        raise Rejected(Reason.EMPTY_FILE, "the object is empty")
    if len(data) > max_bytes:
        raise Rejected(Reason.TOO_MANY_BYTES, f"more bytes than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)")
    return data


def _failure(files: FileSystem, path: str, error: Exception, deadline: Deadline) -> Exception:
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return Infrastructure(f"cannot fetch images: {os.strerror(error.errno or 0)}")
    if isinstance(error, TimeoutError):
        return deadline.missed()
    if _is_empty(files, path, deadline):
        return Rejected(Reason.EMPTY_FILE, "the object is empty")
    return Trouble(f"the store failed ({printable(str(error) or type(error).__name__)})")


def _is_empty(files: FileSystem, path: str, deadline: Deadline) -> bool:
    """Whether the object is empty: S3 refuses to read a range of an empty object."""
    limit = {"timeout": deadline.left()} if files.async_impl else {}
    try:
        return files.info(path, **limit).get("size") == 0
    except Exception:  # noqa: BLE001 - the first error counts
        return False
