"""What an image reference may be, before anybody is asked for it."""

from __future__ import annotations

import socket
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import Rejected
from persqa.images import ImageLimits, read_image, shown_reference
from persqa.images.urls import WebAddress, parse_url
from persqa.reasons import Reason


class TestDataUris:
    @given(st.binary(min_size=1, max_size=300))
    def test_round_trip(self, data: bytes) -> None:
        text = b64encode(data).decode()
        for uri in (
            f"data:image/png;base64,{text}",
            f"DATA:;BASE64,{text}",
            f"data:;base64,{quote(text, safe='')}",
            f"data:;base64,{text.rstrip('=')}",
            f"data:;base64,{urlsafe_b64encode(data).decode()}",
            f" \n data:;base64,{text}\n",
            quote(f"data:image/png;base64,{text}", safe=":"),
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
            ("data:;base64," + urlsafe_b64encode(b"\xff\xfe\xfd" * 34).decode(), Reason.TOO_MANY_BYTES),
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
    "url", ["s3://b/../c/a", "s3://b/./a", "s3://b/..", "s3://b/a::s3://c/d", "s3://b/a\\b", "s3://b/a\x01b"]
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
