"""Tag: the name of the main character, such as `<mam>`."""

from __future__ import annotations

import re
from typing import NewType

from persqa.errors import RecordError
from persqa.placeholders import placeholder_in, what_is_wrong
from persqa.reasons import Reason

#: A tag that `parse_tag` has accepted, with brackets.
Tag = NewType("Tag", str)

_TAG = re.compile(r"<[A-Za-z][A-Za-z0-9_-]{0,31}>")


def parse_tag(text: object) -> Tag:
    """Accept `mam` or `<mam>`; the result has the brackets.

    Raises:
        RecordError: the text is not a tag, or is a placeholder.
    """
    tag = bracketed(text)
    if placeholder_in(tag):
        raise RecordError(Reason.BAD_TAG, f"choose another tag: {what_is_wrong(tag)}")
    return tag


def bracketed(text: object) -> Tag:
    """The same, for tags of runs that are there already: some are older than the list of placeholders.

    Raises:
        RecordError: the text is not a tag.
    """
    if isinstance(text, str):
        tag = text if text.startswith("<") else f"<{text}>"
        if _TAG.fullmatch(tag):
            return Tag(tag)
    raise RecordError(
        Reason.BAD_TAG, f"{text!r} is not a tag: write a letter and up to 31 letters, digits, _ or -, as in <mam>"
    )
