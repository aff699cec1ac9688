"""Generic: the answer holds nothing that could not be said of any picture. It knows English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag

if TYPE_CHECKING:
    from persqa.flags.told import Asked, Told

# Words that say nothing of what is seen. `no`, `not` and numbers are not among them: they do say something.
_EMPTY: Final = frozenset(
    """
    a an the and or of in on at to for with from by as that this these those which who whose what it its is are was be
    been being has have had having can could may might will would do does so very quite rather really also just only
    he she they them his her their him theirs own self s i you one some any there here like into about than more most
    such all each both well
    image picture photo photograph scene portrait frame camera viewer person people individual someone somebody human
    character subject figure main focus object thing item something somewhere everything
    look looks looking looked appear appears appearing appearance seem seems seen see shown show shows showing visible
    depicted described describe description considered said known stand stands out catch catches eye attention
    wear wears wearing worn dress dressed attire clothes clothing outfit garment garments
    style styled feature features featured featuring overall general certain kind sort type way form
    unique distinctive distinct interesting nice good great beautiful lovely pretty attractive appealing striking
    notable remarkable special particular individualistic pleasant natural normal typical usual wonderful amazing
    impressive eye-catching suit suits suited fit fits fitting match matches pose poses posing posed present part
    """.split()  # noqa: SIM905
)
_PLACES: Final = frozenset({"center", "centre", "middle", "foreground"})
#: With these a question can be answered in its own words: yes, it is.
_ASKS_WHETHER: Final = frozenset(
    """
    is are was were do does did has have can could will would should am may shall isn't aren't doesn't
    """.split()  # noqa: SIM905
)
#: To these a count or a place is an answer.
_ASKS_WHERE: Final = frozenset({"where", "placed", "position", "located", "how many"})


def look(told: Told, question: Asked) -> Finding | None:
    """The whole answer, if each of its words is empty or the question's own."""
    left = told.distinct - _EMPTY
    if (left and not left <= question.distinct | _PLACES) or not told.distinct:
        return None
    if (left & question.distinct and _answers(question)) or (left & _PLACES and _ASKS_WHERE & question.distinct):
        return None
    return Finding(Flag.GENERIC, 1.0, *told.place(0, len(told.text)))


def _answers(question: Asked) -> bool:
    """Whether the question's own words are an answer."""
    return question.words[0] in _ASKS_WHETHER or "or" in question.distinct
