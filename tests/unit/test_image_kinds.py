"""What the first bytes of a content say it is, and what the suffix of a name promises."""

from __future__ import annotations

import pytest

from persqa.image_kinds import DECODED, HEAD_BYTES, IMAGE_SUFFIXES, OTHERS, kind_named, kind_of
from tests.support.pictures import FORMATS, encoded, quarters


@pytest.mark.parametrize("image_format", FORMATS)
def test_what_is_decoded_is_known_by_its_first_bytes(image_format: str) -> None:
    kind = kind_of(encoded(quarters(), image_format)[:HEAD_BYTES])
    assert kind is not None
    assert (kind.name.upper(), kind.is_decoded) == (image_format, True)


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0avifmif1miaf", b"avis\0\0\0\0avismif1", b"mif1\0\0\0\0mif1miafavif"])
def test_avif_has_one_of_several_names(brands: bytes) -> None:
    kind = kind_of(b"\0\0\0\x1cftyp" + brands)
    assert kind is not None
    assert kind.name == "AVIF"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("HEIC", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"),
        ("JPEG XL", b"\xff\x0a\xfa\x1f"),
        ("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("JPEG 2000", encoded(quarters(), "JPEG2000")),
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("SVG", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg/>"),
        ("PDF", b"%PDF-1.7\n"),
        ("PostScript", encoded(quarters(), "EPS")),
        ("Photoshop", b"8BPS\0\1" + bytes(20)),
        ("icon", encoded(quarters(), "ICO")),
        ("Netpbm", encoded(quarters(), "PPM")),
        ("PCX", encoded(quarters(), "PCX")),
        ("camera raw", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"),
        ("HTML page", b"\n<!DOCTYPE html><html><title>403</title>"),
        ("HTML page", b"<HTML><head>"),
        ("pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:00"),
        ("JSON", b'{"error": "not found"}'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_decoded_is_named(name: str, head: bytes) -> None:
    kind = kind_of(head)
    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize(
    "head", [b"", b"BM", b"BMW is a car, and this is a text about one.", b"hello", b"\0\0\1\0", b"II"]
)
def test_other_content_is_of_no_kind(head: bytes) -> None:
    assert kind_of(head) is None


def test_a_suffix_promises_one_kind() -> None:
    suffixes = [suffix for kind in (*DECODED, *OTHERS) for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    assert {".jpg", ".jfif", ".tiff"} <= IMAGE_SUFFIXES
    heic, jfif = kind_named(".HEIC"), kind_named(".JFIF")
    assert heic is not None
    assert jfif is not None
    assert (heic.is_decoded, jfif.is_decoded) == (False, True)
    assert kind_named(".json") is None
