"""Bare base64: a picture itself in place of a reference, as evaluation kits write it, without `data:` before it."""

from __future__ import annotations

import binascii
import re

#: What a reference may have around it, and base64 inside: the white space and control characters that browsers skip.
BLANKS = "".join(map(chr, range(0x21)))

#: Characters. Shorter texts are paths: no picture is that small.
SHORTEST = 48
#: Longer ones are no paths, so they need not be looked through.
_LONGEST_PATH = 4096
_LETTERS = re.compile(r"[A-Za-z0-9+/_\s-]*=*\s*", re.ASCII)
#: Beginnings of files that no path has in base64, those of pictures that no worker decodes as well: that is for the
#: decoder to say. Short signs are left out, for they would take paths for pictures.
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|....ftyp(avi|hei|hev|mif|msf)"
    rb"|\0\0\0\x0c(JXL |jP  )",
    re.DOTALL,
)
_STANDARD = str.maketrans("-_", "+/", BLANKS)


def is_picture(data: bytes) -> bool:
    """Whether the content begins as files of pictures do."""
    return _PICTURE.match(data) is not None


def is_bare_base64(text: str) -> bool:
    """Whether the text is the base64 of a picture, of either alphabet, with line ends or without."""
    if len(text) < SHORTEST:
        return False
    beginning = text[:SHORTEST]
    if not _LETTERS.fullmatch(beginning):
        return False
    letters = beginning.translate(_STANDARD).rstrip("=")
    decoded = binascii.a2b_base64(letters[: len(letters) // 4 * 4])
    return is_picture(decoded) and (len(text) > _LONGEST_PATH or _LETTERS.fullmatch(text) is not None)
