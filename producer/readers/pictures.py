"""Which files are pictures: by their suffix, and by their first bytes where that does not say so."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from persqa.image_kinds import kind_named, kind_of

if TYPE_CHECKING:
    from persqa.image_kinds import Kind

#: What people take for the suffix of a name.
_SUFFIX = re.compile(r"\.\w{1,12}")


def suffix_of_name(name: str) -> str:
    """The last suffix of a path, in lower case."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path a file takes seconds


def picture_kind(suffix: str, head: bytes) -> Kind | None:
    """The kind of a picture, whether it is decoded or not; None for all else.

    Args:
        suffix: of its name; where it is that of a format that is decoded, the content is not looked at.
        head: the first bytes.
    """
    named = kind_named(suffix)
    if named is not None and named.is_decoded:
        return named
    found = kind_of(head)
    if found is None or not found.is_picture:
        return named
    # The files of most cameras begin as a TIFF, but what such a reader finds in them is a thumbnail.
    return named if named is not None and found.name == "TIFF" else found


def label_of(name: str, kind: Kind | None) -> str:
    """What a file is that is passed over, as in `HEIC picture` and `.txt file`."""
    if kind is not None:
        return f"{kind.name} picture"
    suffix = suffix_of_name(name)
    if not suffix:
        return "file without a suffix"
    return f"{suffix} file" if _SUFFIX.fullmatch(suffix) else "other file"
