"""Which URLs of images are allowed, and how they are shown."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from persqa.errors import Rejected
from persqa.hosts import is_listed
from persqa.images import shown_reference
from persqa.images.objects import is_under
from persqa.images.urls import parse_url
from persqa.reasons import Reason


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
            ("http://a.example/my photo.jpg?a b", ("http", "a.example", 80, "/my%20photo.jpg?a%20b")),
            (" \t\0http://a.example/b.jpg\r\n", ("http", "a.example", 80, "/b.jpg")),
            ("http://a.example/long\n  er.jpg", ("http", "a.example", 80, "/long%20%20er.jpg")),
            ("ht\ntp://a.exam\r\nple/\tb.jpg", ("http", "a.example", 80, "/b.jpg")),
            ("http://a.example/\r\nHost: b", ("http", "a.example", 80, "/Host:%20b")),
            ("http://a.example/100%.jpg", ("http", "a.example", 80, "/100%.jpg")),
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
            "http://a /",
            "http://a\0b/",
            "http://a/b\x0bc",
            "http://a/b\\c",
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
            ("/a b.jpg", "https://a.example/a%20b.jpg"),
            ("my photo.jpg?a b", "https://a.example/x/my%20photo.jpg?a%20b"),
            ("/gr\u00c3\u00b6\u00c3\u009fe.jpg", "https://a.example/gr%C3%B6%C3%9Fe.jpg"),
            ("/gr\u00f6\u00dfe.jpg", "https://a.example/gr%F6%DFe.jpg"),
            ("//b\u00c3\u00bccher.example/c", "https://xn--bcher-kva.example/c"),
            ("/%C3%B6%20.jpg", "https://a.example/%C3%B6%20.jpg"),
            ("https:/c", "https://a.example/c"),
            ("", "https://a.example/x/y"),
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
