"""Ask and Answer: what an operator wants of a serving of ours, record by record, and what it gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import RecordError, Rejected
from persqa.prompts import human_turn
from persqa.reasons import Reason
from persqa.records import RawRecord, parse_record, record_key
from persqa.tags import Tag, parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from persqa.pairs import PairRow
    from persqa.questions import QuestionPool
    from persqa.results import Result
    from persqa.runs import RunOptions


#: Of a prompt that is asked as it stands.
NO_TAG = Tag("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One record with its question.

    Attributes:
        position: its place among all, from 0.
        record: the record as JSON; with the seed of the run it decides which question is drawn.
        images: the image references as given.
        tag: the tag asked for; empty where the question is a prompt to be asked as it stands.
        question: as asked, tag in place; empty where the record cannot be used.
        error: why it cannot be used, if so.
    """

    position: int
    record: str
    images: tuple[str, ...] = ()
    tag: Tag = NO_TAG
    question: str = ""
    error: RecordError | None = None

    @property
    def prompt(self) -> str:
        """The human turn."""
        return human_turn(self.tag, self.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of an ask.

    Attributes:
        text: the model's words; None where there are none.
        reason: why there are none, or how they break the tag rule: a code, and a sentence where there is one.
    """

    text: str | None
    reason: str | None = None


def draw_asks(
    records: Iterable[Mapping[str, JsonValue]], options: RunOptions, pool: QuestionPool, *, max_images: int
) -> list[Ask]:
    """Check the records and draw a question for each, as a submit of the same records does."""
    asks: list[Ask] = []
    for position, record in enumerate(records):
        text = json.dumps(record)
        raw = RawRecord(place=f"record {position + 1}", value=dict(record))
        try:
            found = parse_record(raw, max_images=max_images, image_optional=options.image_optional)
        except RecordError as error:
            asks.append(Ask(position=position, record=text, error=error))
            continue
        tag = found.tag or parse_tag(options.tag)
        (question,) = pool.draw(1, seed=options.seed, key=record_key(text))
        asks.append(Ask(position=position, record=text, images=found.images, tag=tag, question=question.ask(tag)))
    return asks


def verbatim_asks(prompts: Sequence[str], images: Sequence[Sequence[str]]) -> list[Ask]:
    """Prompts that are asked as they stand."""
    return [
        Ask(
            position=position,
            record=json.dumps({"prompt": prompt, **({"image": list(references)} if references else {})}),
            images=tuple(references),
            question=prompt,
            error=None if prompt.strip() else RecordError(Reason.BAD_PROMPT, f"prompt {position + 1} is empty"),
        )
        for position, (prompt, references) in enumerate(zip(prompts, images, strict=True))
    ]


def answer_of(found: Result | PairRow) -> Answer:
    """What the operator is told of a result."""
    reason = ": ".join(str(part) for part in (found.reason, found.detail) if part)
    return Answer(text=found.answer, reason=reason or None)


def refusal(error: RecordError | Rejected) -> Answer:
    """The answer to what cannot be asked."""
    return Answer(text=None, reason=f"{error.reason}: {error}")
