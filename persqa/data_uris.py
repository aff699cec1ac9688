"""Images inside their references, `data:` URIs and bare base64: the producer takes them out, so Redis never gets them.

Writers are taken as they meant it: base64 may be of either alphabet, without padding, broken into lines, quoted with
percent signs, without the word that says it is base64, or with blanks for `+`, which forms make of it.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from persqa.bare_base64 import BLANKS, is_picture
from persqa.errors import Rejected
from persqa.reasons import Reason
from persqa.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "data:"
_WHITE_SPACE = b" \t\n\f\r"
_STANDARD = bytes.maketrans(b"-_", b"+/")


def is_data_uri(reference: str) -> bool:
    """Whether the reference contains the image itself."""
    return scheme_of(reference) == "data"


def decode_data_uri(uri: str, *, max_bytes: int) -> bytes:
    """The bytes of a `data:` URI, in base64 or percent-encoded, or of bare base64; a media type is ignored.

    Raises:
        Rejected: it is malformed or empty, or has more bytes than allowed.
    """
    text = uri.strip(BLANKS)
    is_uri = text[: len(_PREFIX)].lower() == _PREFIX
    what = "the data: URI" if is_uri else "the base64"
    head, payload = _parts(text) if is_uri else (";base64", text)
    try:
        data = unquote_to_bytes(payload)
    except UnicodeEncodeError:
        raise Rejected(Reason.BAD_URL, f"{what} is not valid Unicode") from None
    if head.rstrip().lower().endswith(";base64"):
        data = _base64(data, what, max_bytes)
    elif not is_picture(data):
        data = _unmarked(data, what, max_bytes)
    if not data:
        raise Rejected(Reason.EMPTY_FILE, f"{what} is empty")
    _check_size(len(data), max_bytes)
    return data


def _parts(uri: str) -> tuple[str, str]:
    """What stands before the comma, and what behind it; the comma itself may be quoted, with all else."""
    for text in (uri, unquote(uri)):
        head, comma, payload = text[len(_PREFIX) :].partition(",")
        if comma:
            return head, payload
    said = "the data: URI has no comma, so no data; a file of this name is written with ./ before it"
    raise Rejected(Reason.BAD_URL, said)


def _unmarked(data: bytes, what: str, max_bytes: int) -> bytes:
    """What is not said to be base64, but is the base64 of a picture; all else stays."""
    try:
        found = _base64(data, what, max_bytes)
    except Rejected as rejected:
        if rejected.reason is Reason.TOO_MANY_BYTES:
            raise
        return data
    return found if is_picture(found) else data


def _base64(text: bytes, what: str, max_bytes: int) -> bytes:
    text = _joined(text).translate(_STANDARD).rstrip(b"=")
    # Before memory is allocated for it.
    _check_size(len(text) * 3 // 4, max_bytes)
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error as error:
        raise Rejected(Reason.BAD_URL, f"{what} is not valid base64 ({error})") from None


def _joined(text: bytes) -> bytes:
    """The base64 without white space; a blank that does not divide it into lines was a `+`."""
    without = text.translate(None, _WHITE_SPACE)
    if len(without) == len(text):
        return text
    lines = text.replace(b"\f", b"\n").replace(b"\t", b"").splitlines()
    parts = b"".join(line.strip(b" ") for line in lines).split(b" ")
    plus = b"+".join(parts)
    # With its padding, base64 has a multiple of four letters.
    fits, plus_fits = len(without) % 4 == 0, len(plus) % 4 == 0
    return without if fits > plus_fits or (fits == plus_fits and _are_lines(parts)) else plus


def _are_lines(parts: Sequence[bytes]) -> bool:
    """Whether the parts have one length, as lines of base64 have; the last may be shorter."""
    *full, last = parts
    return all(len(part) == len(parts[0]) for part in full) and len(parts[0]) % 4 == 0 and len(last) <= len(parts[0])


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Rejected(
            Reason.TOO_MANY_BYTES, f"{size} bytes, more than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)"
        )
