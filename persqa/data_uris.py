"""`data:` URIs: images inside their references. The producer takes the bytes out, so Redis never gets them."""

from __future__ import annotations

import binascii
from urllib.parse import unquote_to_bytes

from persqa.errors import Rejected
from persqa.reasons import Reason

_WHITE_SPACE = b" \t\n\f\r"


def is_data_uri(reference: str) -> bool:
    """Whether the reference contains the image itself."""
    return reference[:5].lower() == "data:"


def decode_data_uri(uri: str, *, max_bytes: int) -> bytes:
    """The bytes of a `data:` URI, in base64 or percent-encoded; its media type is ignored.

    Raises:
        Rejected: it is malformed or empty, or has more bytes than allowed.
    """
    head, comma, payload = uri[5:].partition(",")
    if not comma:
        raise Rejected(Reason.BAD_URL, "the data: URI has no comma, so no data")
    try:
        data = unquote_to_bytes(payload)
    except UnicodeEncodeError:
        raise Rejected(Reason.BAD_URL, "the data: URI is not valid Unicode") from None
    if head.rstrip().lower().endswith(";base64"):
        data = _base64(data.translate(None, _WHITE_SPACE), max_bytes)
    if not data:
        raise Rejected(Reason.EMPTY_FILE, "the data: URI is empty")
    _check_size(len(data), max_bytes)
    return data


def _base64(text: bytes, max_bytes: int) -> bytes:
    text = text.rstrip(b"=")
    # Before memory is allocated for it.
    _check_size(len(text) * 3 // 4, max_bytes)
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error as error:
        raise Rejected(Reason.BAD_URL, f"the data: URI is not valid base64 ({error})") from None


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Rejected(
            Reason.TOO_MANY_BYTES, f"{size} bytes, more than the allowed {max_bytes} (PERSQA_MAX_IMAGE_BYTES)"
        )
