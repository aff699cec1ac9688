"""Kinds of content: the formats of pictures that are decoded, and others that people take for one.

The only list of them: `decoding` decodes what is decoded here, and readers go by the suffixes and by the first bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: How many first bytes of a content say its kind.
HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of content.

    Attributes:
        name: for people.
        suffixes: of files' names, in lower case; the usual one first.
        magic: matches its first bytes.
        is_decoded: whether workers decode it.
        is_picture: whether it is a picture, or a drawing, at all.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes]
    is_decoded: bool = False
    is_picture: bool = True


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


#: HEIC and AVIF are files of the same kind; a list of brands says which. The first one may be that of all of them.
_BOX = rb".{4}ftyp"
_BRANDS = rb"(?:mif1|msf1|miaf|MA1[AB]).{4}(?:.{4}){0,16}?"

DECODED = (
    Kind(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
        _starts(rb"\xff\xd8\xff"),
        is_decoded=True,
    ),
    Kind("PNG", (".png", ".apng"), _starts(rb"\x89PNG\r\n\x1a\n"), is_decoded=True),
    Kind("WebP", (".webp",), _starts(rb"RIFF.{4}WEBP"), is_decoded=True),
    Kind("GIF", (".gif",), _starts(rb"GIF8[79]a"), is_decoded=True),
    Kind("TIFF", (".tif", ".tiff"), _starts(rb"II[*+]\0|MM\0[*+]"), is_decoded=True),
    # Two letters are no sign; the size of its second header has one of a few values.
    Kind("BMP", (".bmp", ".dib"), _starts(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"), is_decoded=True),
    Kind("AVIF", (".avif", ".avifs"), _starts(_BOX + rb"(?:avi[fs]|" + _BRANDS + rb"avi[fs])"), is_decoded=True),
)

OTHERS = (
    Kind("HEIC", (".heic", ".heif", ".hif", ".heics", ".heifs"), _starts(_BOX + rb"(?:he[iv][cxms]|mif1|msf1|miaf)")),
    Kind("JPEG XL", (".jxl",), _starts(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")),
    Kind(
        "JPEG 2000",
        (".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".jpm"),
        _starts(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ),
    Kind("JPEG XR", (".jxr", ".wdp", ".hdp"), _starts(rb"II\xbc\x01")),
    Kind(
        "SVG",
        (".svg", ".svgz"),
        _starts(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.{0,400}?|<!--.{0,400}?)?<(?:svg|!DOCTYPE svg)"),
    ),
    Kind("PDF", (".pdf",), _starts(rb"%PDF-")),
    Kind("PostScript", (".eps", ".ps", ".ai"), _starts(rb"%!PS|\xc5\xd0\xd3\xc6")),
    Kind("Photoshop", (".psd", ".psb"), _starts(rb"8BPS\0[\1\2]")),
    Kind(
        "camera raw",
        (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw", ".3fr"),
        _starts(_BOX + rb"crx |FUJIFILMCCD-RAW|IIR[OS]|IIU\0|II.{4}HEAPCCDR"),
    ),
    Kind("OpenEXR", (".exr",), _starts(rb"v/1\x01")),
    Kind("Radiance HDR", (".hdr",), _starts(rb"#\?R(?:ADIANCE|GBE)\n")),
    Kind("DDS", (".dds",), _starts(rb"DDS \x7c\0\0\0")),
    Kind("QOI", (".qoi",), _starts(rb"qoif.{8}[\3\4][\0\1]")),
    Kind("icon", (".ico", ".cur"), _starts(rb"\0\0[\1\2]\0[^\0]\0.{3}\0.{8}[\x16-\xff]\0\0\0")),
    Kind("Netpbm", (".ppm", ".pgm", ".pbm", ".pnm", ".pam"), _starts(rb"P[1-7][ \t\r\n]+(?:#|WIDTH|\d)")),
    Kind("TGA", (".tga",), _starts(rb"(?!)")),  # no first bytes tell
    Kind("PCX", (".pcx",), _starts(rb"\x0a[\0\2-\5]\x01[\1\2\4\x08].{60}\0")),
    Kind("Windows metafile", (".wmf", ".emf"), _starts(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF")),
    Kind(
        "HTML page",
        (),
        _starts(rb"(?i)(?:\xef\xbb\xbf)?\s*(?:<!--.{0,400}?-->\s*)?<(?:!doctype html|html|head)\b"),
        is_picture=False,
    ),
    Kind("pointer of Git LFS", (), _starts(rb"version https://git-lfs\.github\.com/"), is_picture=False),
    Kind("JSON", (), _starts(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[\s*[\[{"\]])'), is_picture=False),
    Kind("gzip archive", (), _starts(rb"\x1f\x8b\x08"), is_picture=False),
    Kind("zip archive", (), _starts(rb"PK\x03\x04"), is_picture=False),
)

#: Of the formats that are decoded; in lower case.
IMAGE_SUFFIXES = frozenset(suffix for kind in DECODED for suffix in kind.suffixes)

_BY_SUFFIX = {suffix: kind for kind in (*DECODED, *OTHERS) for suffix in kind.suffixes}


def kind_of(head: bytes) -> Kind | None:
    """The kind of a content by its first `HEAD_BYTES` bytes, whatever it is called; None if unknown."""
    start = head[:HEAD_BYTES]
    return next((kind for kind in (*DECODED, *OTHERS) if kind.magic.match(start)), None)


def kind_named(suffix: str) -> Kind | None:
    """The kind that a suffix such as `.HEIC` promises; None if it is no picture's."""
    return _BY_SUFFIX.get(suffix.lower())
