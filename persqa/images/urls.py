"""WebAddress: a URL of the web, taken apart once; what is checked is what is connected to and asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from persqa.errors import Rejected
from persqa.images.naming import shown_reference
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LONGEST_URL = 8192
_LONGEST_HOST = 253
#: Parsers disagree about these, and some skip them without a word.
_UNUSABLE = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
#: A last label that systems take for a part of an IPv4 address, in decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORTS = {"http": 80, "https": 443}
#: What may stand in a path or query as it is; a `%` does, since it is part of what was quoted before.
_AS_IT_IS = "%/:=&?~+!$,;'@()*[]|"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """Where one request goes.

    Attributes:
        host: in lower case and ASCII; an IPv6 address without brackets.
        target: path and query, quoted.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, for the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def redirected(self, location: str) -> WebAddress:
        """Where a redirect leads.

        Raises:
            Rejected: to nothing on the web, or from https to http.
        """
        try:
            target = parse_url(urljoin(f"{self.scheme}://{self.authority}{self.target}", location.strip()))
        except ValueError:
            raise Rejected(Reason.BAD_URL, "redirected to a malformed URL") from None
        except Rejected as rejected:
            raise Rejected(rejected.reason, f"redirected to {shown_reference(location)}: {rejected}") from None
        if self.scheme == "https" and target.scheme == "http":
            raise Rejected(Reason.INSECURE_REDIRECT, f"redirected from https to http, at {target.authority}")
        return target


def parse_url(url: str) -> WebAddress:
    """Take a URL apart.

    Raises:
        Rejected: it is malformed, carries a user name, or its host is a number in disguise.
    """
    if len(url) > _LONGEST_URL:
        raise Rejected(Reason.BAD_URL, f"the URL is longer than {_LONGEST_URL} characters")
    if _UNUSABLE.search(url):
        raise Rejected(Reason.BAD_URL, "the URL contains a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Rejected(Reason.BAD_URL, f"the URL is malformed ({error})") from None
    if parts.scheme not in _PORTS:
        raise Rejected(Reason.BAD_URL, "neither http nor https")
    if "@" in parts.netloc:
        raise Rejected(Reason.BAD_URL, "the URL carries a user name or password")
    if port == 0:
        raise Rejected(Reason.BAD_URL, "there is no port 0")
    return WebAddress(
        scheme=parts.scheme,
        host=normal_host(parts.hostname or ""),
        port=port or _PORTS[parts.scheme],
        target=_target(parts),
    )


def normal_host(host: str) -> str:
    """The host as it is compared, resolved and sent.

    Raises:
        Rejected: it is none.
    """
    if ":" in host:
        return _ip6(host)
    try:
        name = host.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Rejected(Reason.BAD_URL, "the host is no valid name") from None
    if len(name) > _LONGEST_HOST or not _HOST.fullmatch(name):
        raise Rejected(Reason.BAD_URL, "the host is no valid name" if name else "the URL has no host")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        _check_ip4(name)
    return name


def is_listed(host: str, patterns: Iterable[str]) -> bool:
    """Whether an allow-list names the host: itself, a domain above it as `*.example.com`, or any as `*`."""
    return any(
        pattern in {"*", host} or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in patterns
    )


def check_listed(address: WebAddress, patterns: Collection[str]) -> None:
    """Refuse a host that the allow-list does not name.

    Raises:
        Rejected: it does not.
    """
    if not is_listed(address.host, patterns):
        listed = "PERSQA_IMAGE_HOSTS names the hosts that are" if patterns else "PERSQA_IMAGE_HOSTS names none"
        raise Rejected(Reason.HOST_NOT_ALLOWED, f"the host {address.host} is not allowed; {listed}")


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=_AS_IT_IS)


def _ip6(host: str) -> str:
    try:
        # A zone after `%` names an interface of this machine.
        address = IPv6Address(host)
    except ValueError:
        raise Rejected(Reason.BAD_URL, "the host is no valid IPv6 address") from None
    if address.scope_id is not None:
        raise Rejected(Reason.ADDRESS_NOT_ALLOWED, "the host is an address of this network only")
    return str(address)


def _check_ip4(name: str) -> None:
    try:
        IPv4Address(name)
    except ValueError:
        sentence = "the host is an IPv4 address in disguise; write it as four decimal numbers"
        raise Rejected(Reason.ADDRESS_NOT_ALLOWED, sentence) from None
