"""Flag: one kind of evidence about an answer or its picture. Finding: where it was found, and how strong it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Flag(StrEnum):
    """What makes an answer, or its picture, worth a second look."""

    REFUSAL = "refusal"  #: the answer says that the model cannot or will not answer
    HEDGE = "hedge"  #: it takes back what it says: it may be, it is hard to tell
    REPETITION = "repetition"  #: words, sentences or characters over and over
    OTHER_LANGUAGE = "other_language"  #: not in the language of the question, wholly or in a part
    UNFINISHED = "unfinished"  #: the last sentence is cut
    GENERIC = "generic"  #: nothing that could not be said of any picture
    QUESTION_ECHO = "question_echo"  #: it says the question again
    OTHER_TAG = "other_tag"  #: it names somebody else in angle brackets
    TAG_AGAIN = "tag_again"  #: the tag stands twice where one would do
    META = "meta"  #: it talks of the picture or the model instead of what is seen
    MARKUP = "markup"  #: Markdown, HTML, code or JSON
    BLANK = "blank"  #: the picture is all of one colour, or nearly
    TINY = "tiny"  #: it has too few pixels to see much
    BLURRED = "blurred"  #: it has no sharp edge
    SEEN_BEFORE = "seen_before"  #: the run has the same picture, or nearly, with another item
    STOCK_ANSWER = "stock_answer"  #: many different pictures got this answer


#: What a worker sees in an answer.
ANSWER_FLAGS: Final = (
    Flag.REFUSAL,
    Flag.HEDGE,
    Flag.REPETITION,
    Flag.OTHER_LANGUAGE,
    Flag.UNFINISHED,
    Flag.GENERIC,
    Flag.QUESTION_ECHO,
    Flag.OTHER_TAG,
    Flag.TAG_AGAIN,
    Flag.META,
    Flag.MARKUP,
)
#: What a worker sees in a picture.
PICTURE_FLAGS: Final = (Flag.BLANK, Flag.TINY, Flag.BLURRED)
#: What only the whole run shows.
RUN_FLAGS: Final = (Flag.SEEN_BEFORE, Flag.STOCK_ANSWER)


@dataclass(frozen=True, slots=True)
class Finding:
    """One flag of one item.

    Attributes:
        score: how strong the evidence is, from 0 to 1.
        start: where in the answer it begins, in characters; None for what is not in the text.
        end: where it ends, as in a slice.
    """

    flag: Flag
    score: float
    start: int | None = None
    end: int | None = None
