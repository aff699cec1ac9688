"""URLs of servers, stores and images: their schemes, their passwords, and the allowed prefixes."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from persqa.bare_base64 import SHORTEST, is_bare_base64

#: What makes a reference to an image more than a path; browsers skip blanks before it.
_SCHEME = re.compile(r"[\0-\x20]*(data|blob|file(?=:/)|[a-z][a-z0-9+.-]*(?=://)):", re.IGNORECASE)

#: Schemes that other settings allow.
_OTHER_SCHEMES = {
    "http": "PERSQA_IMAGE_HOSTS allows hosts",
    "https": "PERSQA_IMAGE_HOSTS allows hosts",
    "file": "PERSQA_IMAGE_ROOTS allows folders",
    "local": "PERSQA_IMAGE_ROOTS allows folders",
    "data": "data: URIs need no permission",
    "blob": "PERSQA_BLOB_STORE names the blob store",
}

_BROKERS = ("redis://", "rediss://", "redis+socket://", "unix://")
_DATABASE = re.compile(r"sqlite(\+\w+)?:///.|postgres(ql)?(\+\w+)?://")


def scheme_of(reference: str) -> str:
    """The scheme of a reference to an image, in lower case; empty for a path, and `data` for bare base64."""
    # Most are short paths, and each is asked about several times.
    if len(reference) < SHORTEST and ":" not in reference:
        return ""
    found = _SCHEME.match(reference)
    return found[1].lower() if found else "data" if is_bare_base64(reference) else ""


def is_relative_path(reference: str) -> bool:
    """Whether the reference means another file in another folder."""
    return not scheme_of(reference) and not reference.startswith("/")


def as_path(path: str) -> str:
    """A path as a reference that nobody takes for a URL, or for base64."""
    return f"./{path}" if scheme_of(path) else path


def put_password(url: str, password: str) -> str:
    """The URL with the password added.

    Raises:
        ValueError: it has one already, or neither a host nor a user.
    """
    scheme, authority, rest = _parts(url)
    user, _, host = authority.rpartition("@")
    if ":" in user:
        raise ValueError("its URL has a password, too: give one only")
    if not authority:
        raise ValueError(f"{scheme} without a host or a user takes no password")
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{rest}"


def take_password(url: str) -> tuple[str, str | None]:
    """The URL without its password, and the password."""
    scheme, authority, rest = _parts(url)
    user, at, host = authority.rpartition("@")
    name, colon, password = user.partition(":")
    if not colon:
        return url, None
    return f"{scheme}://{name}{at}{host}{rest}", unquote(password)


def without_password(url: str) -> str:
    """The URL as it may be shown: its password, and passwords among its options, are replaced."""
    shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&]\w*password=)[^&#]*", r"\1***", shown)


def check_broker(url: str | None) -> str | None:
    """The URL of a broker, unchanged; None for none.

    Raises:
        ValueError: it is none of Redis or Valkey.
    """
    if url is not None and not url.startswith(_BROKERS):
        raise ValueError(
            f"use redis://host:6379/0 or redis+socket:///path, the address of one server, not {without_password(url)!r}"
        )
    return url


def check_database(url: str) -> str:
    """The URL of a database, unchanged.

    Raises:
        ValueError: it is neither a file of SQLite nor PostgreSQL.
    """
    if _DATABASE.match(url) is None or url.endswith(":memory:"):
        raise ValueError(f"use sqlite:///file.db or postgresql://user@host/name, not {without_password(url)!r}")
    return url


def check_store(prefix: str) -> str:
    """A prefix of objects' URLs, in normal form.

    Raises:
        ValueError: it is no store.
    """
    scheme, separator, rest = prefix.partition("://")
    if not separator or "::" in prefix:
        raise ValueError(f"{prefix!r} is no store: write URLs such as s3://bucket or s3://bucket/prefix")
    if scheme.lower() in _OTHER_SCHEMES:
        raise ValueError(f"{prefix!r} is no store: {_OTHER_SCHEMES[scheme.lower()]}")
    return f"{scheme.lower()}://{rest}"


def _parts(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    return scheme, authority, rest.removeprefix(authority)
