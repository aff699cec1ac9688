"""Fetching images from the web: from listed hosts and checked addresses, within limits of size and time."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from persqa.errors import SHORTAGES, Infrastructure, Rejected, causes
from persqa.image_kinds import HEAD_BYTES, kind_of
from persqa.images.addresses import allowed_addresses
from persqa.images.naming import printable
from persqa.images.patience import Deadline, Trouble, patiently, wanted_pause
from persqa.images.urls import WebAddress, check_listed
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Generator
    from threading import Event

    from urllib3.response import HTTPResponse

    from persqa.images.limits import ImageLimits

_Connection: TypeAlias = HTTPConnection | HTTPSConnection

#: Longest chain of redirects.
MOST_REDIRECTS = 5
#: Most addresses of a host that are tried.
_MOST_ADDRESSES = 3
_CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 2**16

_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ABSENT = frozenset({404, 410})
_FORBIDDEN = frozenset({401, 403, 407, 451})
_BUSY = frozenset({408, 425, 429})
#: With 203 a proxy says that it has changed something.
_WHOLE = frozenset({200, 203})
#: What `Content-Encoding` may say of packed bytes. Whatever else it says, such as `aws-chunked`, none or UTF-8, the
#: bytes are plain.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"})


def fetch(address: WebAddress, *, limits: ImageLimits, stop: Event) -> bytes:
    """The content of an address, redirects followed; `stop` ends the waiting.

    Raises:
        Rejected: it may not be fetched, or cannot be.
        Infrastructure: this machine lacks a resource, or the worker is stopping.
    """
    return patiently(partial(_follow, address, limits), seconds=limits.seconds, stop=stop)


def _follow(address: WebAddress, limits: ImageLimits, deadline: Deadline) -> bytes:
    for _ in range(MOST_REDIRECTS + 1):
        found = _ask(address, limits, deadline)
        if isinstance(found, bytes):
            return found
        address = address.redirected(found)
    raise Rejected(Reason.TOO_MANY_REDIRECTS, f"more than {MOST_REDIRECTS} redirects: name where they lead to")


def _ask(address: WebAddress, limits: ImageLimits, deadline: Deadline) -> bytes | str:
    """Ask one server; returns the content, or the location of a redirect."""
    check_listed(address, limits.hosts)
    candidates = allowed_addresses(address.host, address.port, allow_private=limits.allow_private)
    headers = {"Host": address.authority, "User-Agent": limits.user_agent or _own_name(), **_HEADERS}
    with (
        _translated(address.host, deadline),
        closing(_connect(address, candidates, deadline)) as connection,
        _cut_off(connection, deadline),
    ):
        connection.request("GET", address.target, headers=headers, preload_content=False, decode_content=False)
        # The response keeps the socket open by itself.
        with closing(connection.getresponse()) as response:
            return _read(response, limits.max_bytes, deadline)


def _connect(address: WebAddress, candidates: list[str], deadline: Deadline) -> _Connection:
    """Connect to the first checked address that answers, without resolving names and without a proxy."""
    *others, last = candidates[:_MOST_ADDRESSES]
    for candidate in others:
        try:
            return _connect_to(address, candidate, deadline)
        except (HTTPError, OSError):
            continue
    return _connect_to(address, last, deadline)


def _connect_to(address: WebAddress, candidate: str, deadline: Deadline) -> _Connection:
    seconds = min(_CONNECT_SECONDS, deadline.left())
    connection: _Connection
    if address.scheme == "https":
        # The connection goes to an address; the certificate must be that of the host.
        connection = HTTPSConnection(
            candidate, address.port, timeout=seconds, server_hostname=address.host, ssl_context=trust()
        )
    else:
        connection = HTTPConnection(candidate, address.port, timeout=seconds)
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _own_name() -> str:
    return f"persqa/{version('persqa')} urllib3/{version('urllib3')}"


@cache
def trust() -> ssl.SSLContext:
    """The certificates that this machine trusts; read once, since that is slow."""
    return ssl.create_default_context()


@contextmanager
def _cut_off(connection: _Connection, deadline: Deadline) -> Generator[None]:
    """Cut the connection at the deadline: a server that sends single bytes never times out by itself."""
    plain = connection.sock
    assert plain is not None
    plain.settimeout(deadline.left())
    timer = threading.Timer(deadline.left(), partial(_shut, plain))
    timer.name = "persqa-cut-off"
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(plain: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        # Not the method of the TLS socket, which would continue as if its data were not encrypted.
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


def _read(response: HTTPResponse, max_bytes: int, deadline: Deadline) -> bytes | str:
    if response.status in _REDIRECTS and (locations := response.headers.getlist("Location")):
        return locations[0]
    _check_status(response)
    _check_length(response, max_bytes)
    content = bytearray()
    while chunk := response.read(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise Rejected(Reason.TOO_MANY_BYTES, f"more bytes than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)")
        deadline.left()
    # Without an announced length, a cut connection looks like the end of the content.
    deadline.left()
    if not content:
        raise Rejected(Reason.EMPTY_FILE, "the server sent nothing")
    _check_coding(response, content)
    return bytes(content)


def _check_status(response: HTTPResponse) -> None:
    status = response.status
    said = f"the server answered {status} {http.client.responses.get(status, '')}".rstrip()
    if status in _ABSENT:
        raise Rejected(Reason.NOT_FOUND, said)
    if status in _FORBIDDEN:
        raise Rejected(Reason.NOT_PERMITTED, said)
    if status in _BUSY or status >= http.client.INTERNAL_SERVER_ERROR:
        headers = response.headers
        raise Trouble(said, pause_seconds=wanted_pause(headers.get("Retry-After", ""), headers.get("Date", "")))
    if status not in _WHOLE:
        raise Rejected(Reason.FETCH_FAILED, said)


def _check_length(response: HTTPResponse, max_bytes: int) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise Rejected(Reason.TOO_MANY_BYTES, f"more bytes than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)")


def _check_coding(response: HTTPResponse, content: bytearray) -> None:
    """Refuse packed bytes; a picture is none, whatever its header says."""
    said = response.headers.get("Content-Encoding", "").lower()
    named = _CODINGS.intersection(word.strip() for word in said.split(","))
    kind = kind_of(bytes(content[:HEAD_BYTES]))
    if named and (kind is None or not kind.is_picture):
        # A kilobyte may unpack to a gigabyte, and compression does not make images smaller.
        raise Rejected(Reason.FETCH_FAILED, f"the server compressed it ({printable(said, 20)}), though asked not to")


@contextmanager
def _translated(host: str, deadline: Deadline) -> Generator[None]:
    """Translate failures of the connection."""
    try:
        yield
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        chain = list(causes(error))
        if short := next((e for e in chain if isinstance(e, OSError) and e.errno in SHORTAGES), None):
            raise Infrastructure(f"cannot fetch images: {os.strerror(short.errno or 0)}") from error
        deadline.left()
        if refused := next((e for e in chain if isinstance(e, ssl.SSLCertVerificationError)), None):
            said = f"the certificate of {host} is not accepted ({printable(refused.verify_message)})"
            raise Rejected(Reason.FETCH_FAILED, said) from error
        raise Trouble(f"the server {host} failed ({_cause(chain)})") from error


def _cause(chain: list[BaseException]) -> str:
    """The innermost cause: it says most and names no address."""
    deepest = chain[-1]
    said = os.strerror(deepest.errno) if isinstance(deepest, OSError) and deepest.errno else str(deepest)
    return printable(said or type(deepest).__name__)
