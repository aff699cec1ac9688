"""Flags: evidence about an answer or its picture, with a score; none drops anything by itself.

What looks at answers and pictures is loaded when it is asked for: most programs only know the names of flags.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from persqa.flags.flag import ANSWER_FLAGS, PICTURE_FLAGS, RUN_FLAGS, Finding, Flag

if TYPE_CHECKING:
    from persqa.flags.answers import flags_of_answer
    from persqa.flags.overview import Overview, StockAnswer
    from persqa.flags.pictures import PictureLook, look_at

__all__ = [
    "ANSWER_FLAGS",
    "PICTURE_FLAGS",
    "RUN_FLAGS",
    "Finding",
    "Flag",
    "Overview",
    "PictureLook",
    "StockAnswer",
    "flags_of_answer",
    "look_at",
]

_HOMES = {
    "flags_of_answer": "answers",
    "Overview": "overview",
    "StockAnswer": "overview",
    "PictureLook": "pictures",
    "look_at": "pictures",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"persqa.flags.{_HOMES[name]}"), name)
