"""The rules for references: which addresses, hosts, stores and URLs are taken, and what is shown of them."""

from __future__ import annotations

import socket
from base64 import b64encode, urlsafe_b64encode
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import Infrastructure, Rejected
from persqa.hosts import is_listed
from persqa.images import ImageLimits, read_image, shown_reference
from persqa.images.addresses import allowed_addresses, is_allowed
from persqa.images.objects import is_under
from persqa.images.patience import Trouble
from persqa.images.urls import WebAddress, parse_url
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


def refusal(url: str) -> Reason:
    with pytest.raises(Rejected) as caught:
        parse_url(url)
    return caught.value.reason


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://Example.COM", ("http", "example.com", 80, "/")),
            ("HTTPS://example.com./a b".replace(" ", "%20"), ("https", "example.com", 443, "/a%20b")),
            ("http://example.com:8080/a?b=c&d#e", ("http", "example.com", 8080, "/a?b=c&d")),
            ("http://bücher.example/größe.png", ("http", "xn--bcher-kva.example", 80, "/gr%C3%B6%C3%9Fe.png")),
            ("http://[2606:4700:0::1111]/", ("http", "2606:4700::1111", 80, "/")),
            ("http://93.184.216.34/?", ("http", "93.184.216.34", 80, "/")),
            ("http://a_b.example/'x'(y)", ("http", "a_b.example", 80, "/'x'(y)")),
        ],
    )
    def test_parts(self, url: str, expected: tuple[str, str, int, str]) -> None:
        found = parse_url(url)
        assert (found.scheme, found.host, found.port, found.target) == expected

    @pytest.mark.parametrize(
        "url",
        [
            "http://",
            "http:///a.png",
            "http://:80/",
            "http://a:port/",
            "http://a:99999/",
            "http://a:0/",
            "http://user@a/",
            "http://user:word@a/",
            "http://good.example@evil.example/",
            "http://good.example\\@evil.example/",
            "http://a b/",
            "http://a/\r\nHost: b",
            "http://a/\tb",
            "http://a\0b/",
            "http://a%2eb/",
            "http://a..b/",
            "http://-a/",
            "http://[::1/",
            "http://[::g]/",
            "http://a/\ud800",
            f"http://{'a' * 64}.example/",
            f"http://{'a.' * 130}example/",
            f"http://a/{'a' * 9000}",
            "ftp://a/",
            "file:///etc/passwd",
        ],
    )
    def test_malformed(self, url: str) -> None:
        assert refusal(url) is Reason.BAD_URL

    @pytest.mark.parametrize(
        "host",
        ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "0x", "1.2.3.4.5", "256.0.0.1",
         "a.1", "１２７.１", "127。0。1"],
    )  # fmt: skip
    def test_numbers_in_disguise(self, host: str) -> None:
        assert refusal(f"http://{host}/") is Reason.ADDRESS_NOT_ALLOWED

    def test_an_address_of_one_network_is_refused(self) -> None:
        assert refusal("http://[fe80::1%25eth0]/") in {Reason.ADDRESS_NOT_ALLOWED, Reason.BAD_URL}

    @pytest.mark.parametrize(
        ("location", "expected"),
        [
            ("/b", "https://a.example/b"),
            ("b", "https://a.example/x/b"),
            ("?q", "https://a.example/x/y?q"),
            ("//b.example/c", "https://b.example/c"),
            ("https://b.example:444", "https://b.example:444/"),
            (" /b ", "https://a.example/b"),
        ],
    )
    def test_redirects(self, location: str, expected: str) -> None:
        found = parse_url("https://a.example/x/y").redirected(location)
        assert f"{found.scheme}://{found.authority}{found.target}" == expected

    @pytest.mark.parametrize(
        ("location", "reason"),
        [
            ("http://a.example/", Reason.INSECURE_REDIRECT),
            ("file:///etc/passwd", Reason.BAD_URL),
            ("ftp://a.example/", Reason.BAD_URL),
            ("javascript:alert(1)", Reason.BAD_URL),
            ("data:image/png;base64,AAAA", Reason.BAD_URL),
            ("https://u:p@a.example/", Reason.BAD_URL),
            ("https://[", Reason.BAD_URL),
            ("https://127.1/", Reason.ADDRESS_NOT_ALLOWED),
        ],
    )
    def test_redirects_that_are_refused(self, location: str, reason: Reason) -> None:
        with pytest.raises(Rejected) as caught:
            parse_url("https://a.example/x").redirected(location)
        assert caught.value.reason is reason
        assert ":p@" not in str(caught.value)

    @given(st.text(max_size=40), st.sampled_from(["http://", "https://", "HTTP://", ""]))
    def test_any_text_is_taken_apart_or_refused(self, text: str, scheme: str) -> None:
        try:
            found = parse_url(scheme + text)
        except Rejected:
            return
        assert found.host.isascii()
        assert found.target.startswith("/")
        assert found.target.isascii()
        assert not set(found.host + found.target) & set(" \r\n\t\0\\@" if "@" in found.host else " \r\n\t\0\\")
        # What is made of the parts is read as the same parts.
        assert parse_url(f"{found.scheme}://{found.authority}{found.target}") == found


class TestLists:
    @pytest.mark.parametrize(
        ("host", "patterns", "listed"),
        [
            ("a.example", ["a.example"], True),
            ("b.a.example", ["a.example"], False),
            ("b.a.example", ["*.a.example"], True),
            ("c.b.a.example", ["*.a.example"], True),
            ("a.example", ["*.a.example"], False),
            ("evil-a.example", ["*.a.example", "a.example"], False),
            ("a.example.evil", ["*.a.example", "a.example"], False),
            ("anything", ["*"], True),
            ("anything", [], False),
        ],
    )
    def test_hosts(self, host: str, patterns: list[str], listed: bool) -> None:
        assert is_listed(host, patterns) is listed

    @pytest.mark.parametrize(
        ("url", "prefixes", "under"),
        [
            ("s3://b/p/a.png", ["s3://b/p"], True),
            ("s3://b/p/a.png", ["s3://b/p/"], True),
            ("s3://b/p/a.png", ["s3://b"], True),
            ("s3://b/p/a.png", ["s3://"], True),
            ("s3://b/p2/a.png", ["s3://b/p"], False),
            ("s3://b2/p/a.png", ["s3://b"], False),
            ("gs://b/p/a.png", ["s3://b"], False),
            ("s3://b/p", ["s3://b/p"], False),
            ("s3://b/a", [], False),
        ],
    )
    def test_stores(self, url: str, prefixes: list[str], under: bool) -> None:
        assert is_under(url, prefixes) is under


class TestShown:
    @pytest.mark.parametrize(
        ("reference", "shown"),
        [
            ("a.png", "a.png"),
            ("dir/a@b:c.png", "dir/a@b:c.png"),
            ("http://user:word@host/a.png", "http://***@host/a.png"),
            ("http:\\\\user:word@host/a.png", "http:\\\\***@host/a.png"),
            ("s3://key:secret@bucket/a.png", "s3://***@bucket/a.png"),
            ("https://host/a.png?sig=word&x=y", "https://host/a.png?..."),
            ("https://host/a\n.png", r"https://host/a\n.png"),
            ("data:image/png;base64," + "A" * 1000, "data:image/png;base64," + "A" * 18 + "..."),
            ("n" * 300, "n" * 200 + "..."),
        ],
    )
    def test_what_is_shown(self, reference: str, shown: str) -> None:
        assert shown_reference(reference) == shown

    @given(
        st.from_regex(r"[a-z][a-z0-9+.-]{0,8}:(//|/|\\\\|)", fullmatch=True),
        st.text(st.characters(exclude_characters="/?#@"), max_size=10),
        st.text(max_size=30),
    )
    def test_a_password_is_never_shown(self, scheme: str, user: str, rest: str) -> None:
        assume(not scheme.startswith("data:"))
        assert "pAssw0rd" not in shown_reference(f"{scheme}{user}:pAssw0rd@host/{rest}")


class TestDataUris:
    @given(st.binary(min_size=1, max_size=300))
    def test_round_trip(self, data: bytes) -> None:
        text = b64encode(data).decode()
        for uri in (
            f"data:image/png;base64,{text}",
            f"DATA:;BASE64,{text}",
            f"data:;base64,{quote(text, safe='')}",
            f"data:;base64,{text.rstrip('=')}",
            "data:;base64," + "\n".join(text[i : i + 7] for i in range(0, len(text), 7)),
            f"data:image/png,{quote(data, safe='')}",
            f"data:image/png;charset=base64x,{quote(data)}",
        ):
            assert is_data_uri(uri)
            assert decode_data_uri(uri, max_bytes=len(data)) == data

    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("data:", Reason.BAD_URL),
            ("data:image/png;base64", Reason.BAD_URL),
            ("data:;base64,A", Reason.BAD_URL),
            ("data:;base64,AA*A", Reason.BAD_URL),
            ("data:;base64,AAAA=AAA", Reason.BAD_URL),
            ("data:;base64,ÄÄÄÄ", Reason.BAD_URL),
            ("data:;base64," + urlsafe_b64encode(b"\xff\xfe\xfd" * 3).decode(), Reason.BAD_URL),
            ("data:,\ud800", Reason.BAD_URL),
            ("data:,", Reason.EMPTY_FILE),
            ("data:image/png;base64,", Reason.EMPTY_FILE),
            ("data:image/png;base64,====", Reason.EMPTY_FILE),
            ("data:," + "a" * 101, Reason.TOO_MANY_BYTES),
            ("data:;base64," + b64encode(bytes(101)).decode(), Reason.TOO_MANY_BYTES),
        ],
    )
    def test_refused(self, uri: str, reason: Reason) -> None:
        with pytest.raises(Rejected) as caught:
            decode_data_uri(uri, max_bytes=100)
        assert caught.value.reason is reason

    @given(st.text(max_size=60))
    def test_any_text_is_bytes_or_refused(self, text: str) -> None:
        try:
            assert decode_data_uri(f"data:{text}", max_bytes=50)
        except Rejected:
            return


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path


_PARTS = st.sampled_from(
    ["..", ".", "/", "//", "secret.png", "%2e%2e", "%2f", "etc/passwd", "\\", "\0", "::", "@", "127.0.0.1",
     "localhost", "[::1]", "?", "#", " ", "file:", "http:", "s3:", "data:", "blob:", "0" * 64, "simplecache",
     "memory", "é", "\ud800"]
)  # fmt: skip
_REFERENCES = st.tuples(
    st.sampled_from(["", "file://", "file:/", "FILE:///", "http://", "https://", "s3://", "memory://", "gs://", "ftp://",
                     "data:", "blob:", "simplecache::s3://", "javascript:", "reference://", "local://", "zip://"]),
    st.lists(_PARTS | st.text(max_size=4), max_size=8).map("".join),
).map("".join)  # fmt: skip


@settings(max_examples=300)
@given(reference=_REFERENCES)
def test_no_reference_leads_outside_or_asks_anybody(reference: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "hostile"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "secret.png").write_bytes(b"secret")
    asked: list[object] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        limits = ImageLimits(roots=(), max_pixels=9, max_bytes=99)
        try:
            said = read_image(reference, base=folder / "data", limits=limits).data.decode("latin-1")
        except Rejected as rejected:
            said = str(rejected)
            assert said.isprintable()
    assert said
    assert said != "secret"
    assert asked == []


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("http://host/a.png", Reason.HOST_NOT_ALLOWED),
        ("HTTPS://host/a.png", Reason.HOST_NOT_ALLOWED),
        ("s3://bucket/a.png", Reason.STORE_NOT_ALLOWED),
        ("ftp://host/a.png", Reason.STORE_NOT_ALLOWED),
        ("memory://a.png", Reason.STORE_NOT_ALLOWED),
        ("file:///etc/passwd", Reason.OUTSIDE_ROOTS),
        ("file:///%65tc/passwd", Reason.OUTSIDE_ROOTS),
        ("file://localhost/etc/passwd", Reason.OUTSIDE_ROOTS),
        ("file:/etc/passwd", Reason.OUTSIDE_ROOTS),
        ("file://host/a.png", Reason.BAD_URL),
        ("file:///a.png?b", Reason.BAD_URL),
        ("file:///%ff.png", Reason.BAD_URL),
        ("file:///a%00.png", Reason.BAD_PATH),
        ("blob:abc", Reason.BAD_URL),
        ("blob:" + "0" * 64, Reason.BAD_URL),
        ("data:oops", Reason.BAD_URL),
    ],
)
def test_everything_but_local_paths_is_off_by_default(reference: str, reason: Reason, outside: Path) -> None:
    with pytest.raises(Rejected) as caught:
        read_image(reference, base=outside / "data", limits=ImageLimits(roots=(), max_pixels=9, max_bytes=99))
    assert caught.value.reason is reason
    assert str(caught.value).startswith(shown_reference(reference))


def test_a_file_url_obeys_the_rules_of_paths(outside: Path) -> None:
    limits = ImageLimits(roots=(), max_pixels=9, max_bytes=99)
    (outside / "data" / "größe 1.png").write_bytes(b"here")
    (outside / "data" / "link.png").symlink_to(outside / "secret.png")
    found = read_image(
        f"file://{quote(str(outside))}/data/gr%C3%B6%C3%9Fe%201.png", base=outside / "data", limits=limits
    )
    assert found.data == b"here"
    for hidden in ("link.png", "../secret.png", "%2e%2e/secret.png", "..%2fsecret.png"):
        with pytest.raises(Rejected) as caught:
            read_image(f"file://{outside}/data/{hidden}", base=outside / "data", limits=limits)
        assert caught.value.reason is Reason.OUTSIDE_ROOTS


@pytest.mark.parametrize(
    "url", ["s3://b/../c/a", "s3://b/./a", "s3://b/..", "s3://b/a::s3://c/d", "s3://b/a\\b", "s3://b/\n"]
)
def test_an_object_is_named_plainly(url: str, tmp_path: Path) -> None:
    limits = ImageLimits(roots=(), max_pixels=9, max_bytes=99, stores=("s3://b",))
    with pytest.raises(Rejected) as caught:
        read_image(url, base=tmp_path, limits=limits)
    assert caught.value.reason is Reason.BAD_URL


def test_a_default_port_is_not_named_to_the_server() -> None:
    assert parse_url("http://a.example:80/").authority == "a.example"
    assert parse_url("https://a.example:80/").authority == "a.example:80"
    assert WebAddress(scheme="http", host="::1", port=8080, target="/").authority == "[::1]:8080"
