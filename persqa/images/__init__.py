"""Images of unknown origin: neither their references nor their bytes are trusted.

`references` handles every kind of reference, with a module for each kind; `decoding` decodes the bytes, and `pixels`
makes of them what a model looks at.
"""

from __future__ import annotations

from persqa.images.decoding import decoding_bytes
from persqa.images.limits import ImageLimits, Resolution
from persqa.images.local_files import path_of_url
from persqa.images.naming import shown_reference
from persqa.images.references import Content, check_web, decode_image, image_suffix, is_remote, read_image
from persqa.images.urls import normal_url

__all__ = [
    "Content",
    "ImageLimits",
    "Resolution",
    "check_web",
    "decode_image",
    "decoding_bytes",
    "image_suffix",
    "is_remote",
    "normal_url",
    "path_of_url",
    "read_image",
    "shown_reference",
]
