"""Which addresses a host may have that images are fetched from."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import Infrastructure, Rejected
from persqa.images.addresses import allowed_addresses, is_allowed
from persqa.images.patience import Trouble
from persqa.reasons import Reason

SPECIAL = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


class TestAddresses:
    @pytest.mark.parametrize("address", SPECIAL)
    def test_special_ones_are_refused(self, address: str) -> None:
        assert not is_allowed(address)

    @pytest.mark.parametrize("address", PUBLIC)
    def test_public_ones_are_allowed(self, address: str) -> None:
        assert is_allowed(address)

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.20.0.1", "::1", "fd12::1"])
    def test_private_ones_may_be_allowed(self, address: str) -> None:
        assert is_allowed(address, allow_private=True)

    @pytest.mark.parametrize(
        "address", ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "fe80::1", "::"]
    )
    def test_some_never_are(self, address: str) -> None:
        assert not is_allowed(address, allow_private=True)

    @given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
    def test_what_is_allowed_is_global_by_the_library_too(self, address: IPv4Address | IPv6Address) -> None:
        if is_allowed(str(address)):
            assert address.is_global
            assert not address.is_multicast
            assert not address.is_reserved

    @given(st.integers(0, 2**32 - 1))
    def test_no_ipv4_address_in_disguise_is_allowed(self, number: int) -> None:
        for disguise in (2**32 * 0xFFFF, 0x64FF9B << 96, 0x2002 << 112):
            shift = 80 if disguise >> 112 == 0x2002 else 0
            assert not is_allowed(str(ip_address(disguise | number << shift)))

    @pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0177.0.0.1", "2130706433", "0x7f000001"])
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        assert not is_allowed(text)


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: str | Exception) -> None:
    def resolve(_host: str, port: int, **_options: object) -> list[object]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


class TestResolving:
    def test_only_allowed_addresses_are_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolver(monkeypatch, "10.0.0.1", "8.8.8.8", "64:ff9b::808:808", "8.8.8.8", "1.1.1.1")
        assert allowed_addresses("h", 80, allow_private=False) == ["8.8.8.8", "1.1.1.1"]

    def test_none_left_is_refused_without_saying_which(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolver(monkeypatch, "10.0.0.1", "fe80::1%eth0")
        with pytest.raises(Rejected) as caught:
            allowed_addresses("inner.example.com", 80, allow_private=False)
        assert caught.value.reason is Reason.ADDRESS_NOT_ALLOWED
        assert "10.0.0.1" not in str(caught.value)

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (socket.gaierror(socket.EAI_NONAME, "unknown"), Rejected),
            (socket.gaierror(socket.EAI_AGAIN, "later"), Trouble),
            (socket.gaierror(socket.EAI_SYSTEM, "system"), Infrastructure),
            (socket.gaierror(socket.EAI_MEMORY, "memory"), Infrastructure),
            (OSError(24, "too many open files"), Infrastructure),
            (UnicodeError("label too long"), Rejected),
        ],
    )
    def test_failures(self, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]) -> None:
        resolver(monkeypatch, error)
        with pytest.raises(kind):
            allowed_addresses("h", 80, allow_private=False)
