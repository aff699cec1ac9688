"""Flags: evidence about an answer or its picture, with a score; none drops anything by itself."""

from persqa.flags.answers import flags_of_answer
from persqa.flags.flag import ANSWER_FLAGS, PICTURE_FLAGS, RUN_FLAGS, Finding, Flag
from persqa.flags.pictures import PictureLook, look_at

__all__ = [
    "ANSWER_FLAGS",
    "PICTURE_FLAGS",
    "RUN_FLAGS",
    "Finding",
    "Flag",
    "PictureLook",
    "flags_of_answer",
    "look_at",
]
