"""Images that somebody else names and somebody else made; neither the reference nor the bytes are trusted.

`references` knows every kind of reference and is the only door; each kind has a module of its own; `decoding` makes
pictures of bytes, wherever they came from.
"""

from __future__ import annotations

from persqa.images.limits import ImageLimits, Resolution
from persqa.images.naming import shown_reference
from persqa.images.references import Content, check_web, decode_image, is_remote, load_image, read_image

__all__ = [
    "Content",
    "ImageLimits",
    "Resolution",
    "check_web",
    "decode_image",
    "is_remote",
    "load_image",
    "read_image",
    "shown_reference",
]
