"""URLs of servers, stores and images: their schemes, their passwords, and the allowed prefixes."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

#: What makes a reference to an image more than a path.
_SCHEME = re.compile(r"(data|blob|file(?=:/)|[a-z][a-z0-9+.-]*(?=://)):", re.IGNORECASE)

#: Schemes that other settings allow.
_OTHER_SCHEMES = {
    "http": "PERSQA_IMAGE_HOSTS allows hosts",
    "https": "PERSQA_IMAGE_HOSTS allows hosts",
    "file": "PERSQA_IMAGE_ROOTS allows folders",
    "local": "PERSQA_IMAGE_ROOTS allows folders",
    "data": "data: URIs need no permission",
    "blob": "PERSQA_BLOB_STORE names the blob store",
}


def scheme_of(reference: str) -> str:
    """The scheme of a reference to an image, in lower case; empty for a path."""
    found = _SCHEME.match(reference)
    return found[1].lower() if found else ""


def is_relative_path(reference: str) -> bool:
    """Whether the reference means another file in another folder."""
    return not scheme_of(reference) and not reference.startswith("/")


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
