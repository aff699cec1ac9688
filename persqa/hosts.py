"""Hosts in normal form, the patterns that allow them, and what they are told that asks."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from persqa.errors import Rejected
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_HOST = 253
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
#: A last label that systems read as part of an IPv4 address, in decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_USER_AGENT = 256


def normal_host(host: str) -> str:
    """The normal form of a host, which is compared, resolved and sent.

    Raises:
        Rejected: it is not a valid host.
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


def check_pattern(pattern: str) -> str:
    """The normal form of a pattern: a host, `*.example.com` for all below it, or `*` for any.

    Raises:
        ValueError: it is not a valid pattern.
    """
    if pattern == "*":
        return pattern
    start = "*." if pattern.startswith("*.") else ""
    name = pattern.removeprefix(start)
    try:
        return start + normal_host(name.removeprefix("[").removesuffix("]") if ":" in name else name)
    except Rejected:
        message = "write names such as img.example.com, *.example.com, or * for any, without a port"
        raise ValueError(f"{pattern!r} is no host: {message}") from None


def check_user_agent(name: str) -> str:
    """What a program tells web servers that it is, without blanks around it.

    Raises:
        ValueError: it would be no header, or a second one.
    """
    found = name.strip(" ")
    if not found.isascii() or not found.isprintable() or len(found) > _LONGEST_USER_AGENT:
        allowed = f"write up to {_LONGEST_USER_AGENT} letters, digits and signs of ASCII in one line"
        raise ValueError(
            f"{name[:40]!r} cannot be sent to web servers: {allowed}, such as lab-data/1.0 (me@lab.example)"
        )
    return found


def is_listed(host: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns allows the host."""
    return any(
        pattern in {"*", host} or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in patterns
    )


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
