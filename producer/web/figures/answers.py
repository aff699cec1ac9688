"""The most frequent answers to each question: a model that says the same of every picture has not looked at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producer.charts import Bar, Bars, Cell, Figure, Part, Table, shares_to
from producer.intervals import percent
from producer.texts import shown
from producer.web.catalog import Facet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.web.figures.addresses import Addresses

#: Answers of each question, and questions.
MOST_ANSWERS = 3
MOST_TOPICS = 20
_SHOWN_LETTERS = 90
_SEARCHED_LETTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """An answer that several items have.

    Attributes:
        topic: of the question.
        answer: as one of them has it.
        items: how many have it.
        pictures: how many different pictures these items show.
        answers: all answers to this question.
    """

    topic: str
    answer: str
    items: int
    pictures: int
    answers: int


def most_frequent(found: Sequence[Shared], addresses: Addresses) -> Figure:
    """The answers that most items share; the questions with the most uniform answers on top."""
    topics: dict[str, list[Shared]] = {}
    for one in found:
        topics.setdefault(one.topic, []).append(one)
    # The first of each is its most frequent one.
    order = sorted(topics, key=lambda topic: (-topics[topic][0].items / topics[topic][0].answers, topic))
    rows = [(one, _address(one, addresses)) for topic in order for one in topics[topic]]
    end, marks = shares_to(max((one.items / one.answers for one in found), default=1.0))
    return Figure(
        key="answers",
        title="The most frequent answers",
        says=_said(rows[0][0]) if rows else "No two items have the same answer.",
        drawing=Bars(tuple(_bar(one, address, end) for one, address in rows), marks),
        table=Table(
            ("Answer", "Question", "Items", "Share", "Different pictures"),
            tuple(
                (
                    Cell(one.answer, address),
                    Cell(one.topic),
                    Cell(f"{one.items:,}", address),
                    Cell(percent(one.items / one.answers)),
                    Cell(f"{one.pictures:,}"),
                )
                for one, address in rows
            ),
        ),
        unit="share of the answers to the same question",
        note="Answers that differ only in the tag, in capitals or in spaces count as the same.",
    )


def _said(one: Shared) -> str:
    part = percent(one.items / one.answers)
    return f"“{shown(one.answer, _SHOWN_LETTERS)}” is {part} of the answers to {one.topic}, on {_on(one)}."


def _on(one: Shared) -> str:
    return "1 picture" if one.pictures == 1 else f"{one.pictures:,} pictures"


def _address(one: Shared, addresses: Addresses) -> str:
    return addresses.to({Facet.TOPIC: (one.topic,)}, search=one.answer[:_SEARCHED_LETTERS])


def _bar(one: Shared, address: str, end: float) -> Bar:
    width = 100 * one.items / one.answers / end
    return Bar(
        label=shown(one.answer, _SHOWN_LETTERS),
        value=f"{one.items:,}",
        more=f"on {_on(one)}",
        parts=(Part(0, width, "plain", f"{one.items:,} items", address),),
        address=address,
        group=one.topic,
    )
