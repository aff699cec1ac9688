"""A run to look at: drawn portraits, true answers and every way to fail, stored without a broker or a worker."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from persqa.clock import now
from persqa.generations import FinishReason
from persqa.items import Item, item_id
from persqa.policies import Rung
from persqa.questions import Question, load_pool
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status, Violation
from persqa.runs import parse_options
from persqa.store import Store
from persqa.tags import Tag
from persqa.verdicts import ViolationKind
from producer.demo import Person, draw, random_person, true_answers

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from persqa.runs import RunId
    from producer import Client, RunHandle

#: Portraits that are drawn; later records show them again.
DRAWN = 12
_SIDE = 384
_TAGS = (Tag("<mam>"), Tag("<mam>"), Tag("<anna>"))


@dataclass(frozen=True)
class _Ending:
    """How an item ends: what its result says, and the violations before that."""

    status: Status
    rung: Rung | None = Rung.FREE
    reason: Reason | ViolationKind | None = None
    broken: tuple[ViolationKind, ...] = ()


_OK = _Ending(Status.OK)
#: By turns; most are good. The number is no multiple of that of the questions, so each question meets each.
_ENDINGS = (
    _OK,
    _OK,
    _OK,
    _Ending(Status.OK, Rung.PREFILL, broken=(ViolationKind.LATE_TAG, ViolationKind.MISSING_TAG)),
    _OK,
    _Ending(Status.OK, Rung.RESEED, broken=(ViolationKind.MALFORMED_TAG,)),
    _OK,
    _Ending(
        Status.NONCOMPLIANT,
        Rung.PREFILL,
        ViolationKind.TRUNCATED,
        (ViolationKind.WRONG_TAG, ViolationKind.EMPTY, ViolationKind.TRUNCATED),
    ),
    _OK,
    _Ending(Status.INVALID, None, Reason.NOT_FOUND),
    _Ending(Status.DEAD, None, Reason.TIME_LIMIT),
)
_DETAILS = {
    Reason.NOT_FOUND: "images/not-there.jpg: no such file",
    Reason.TIME_LIMIT: "images and engine took longer than the 600 s that an item may take",
}
#: What a generation says that breaks the rule so; `{tag}` and `{rest}` are those of the right answer.
_BROKEN = {
    ViolationKind.EMPTY: "",
    ViolationKind.MALFORMED_TAG: "**{bare}** {rest}",
    ViolationKind.WRONG_TAG: "<bob> {rest}",
    ViolationKind.LATE_TAG: "In this picture {tag} {rest}",
    ViolationKind.MISSING_TAG: "The person {rest}",
    ViolationKind.TRUNCATED: "{tag} {rest} Besides that, one can see that the person",
}


def a_shown_run(  # noqa: PLR0913 - all that tests vary
    client: Client,
    folder: Path,
    name: str = "portraits",
    *,
    records: int = 24,
    questions: int = 3,
    pending: int = 4,
    model: str = "demo",
    turned: int = 0,
) -> RunHandle:
    """Store a run with pictures, and results for all but its last items.

    It has every status, six kinds of violation, two tags, three rungs, two workers, records with two pictures and with
    one that is missing, and answers of a few and of some hundred words.

    Args:
        client: its database gets the run.
        folder: gets `images/`, unless it has them.
        name: the run's.
        records: how many there are; the first 12 show different people.
        questions: how many of the pool `human` each is asked, at most 12.
        pending: how many items at the end have no result.
        model: who has answered.
        turned: by how many the endings are turned around, so that two runs with the same records differ.
    """
    draw_portraits(folder)
    pool = load_pool("human").questions[:questions]
    # A client that only looks makes no database.
    Store.open(client.settings.database_url).close()
    run = client.store.runs.create(
        name,
        options=parse_options(questions_per_image=questions, model=model),
        pool_digest="p",
        fingerprint="f",
        base=str(folder),
        item_count=records * questions,
    )
    items = [_item(run.id, index, pool) for index in range(records * questions)]
    client.store.ledger.add(items, [])
    ended = items[: len(items) - pending]
    client.store.results.commit([_outcome(item, pool[item.slot], model, turned) for item in ended])
    return client.run(name)


def draw_portraits(folder: Path) -> None:
    """Draw the people into `images/`, unless they are there."""
    images = folder / "images"
    if images.exists():
        return
    images.mkdir(parents=True)
    for number, portrait in enumerate(_portraits()):
        portrait.save(images / f"{number}.jpg", quality=90)


@cache
def _portraits() -> tuple[Image.Image, ...]:
    return tuple(draw(*_person(number), _SIDE) for number in range(DRAWN))


def _person(number: int) -> tuple[Person, random.Random]:
    chance = random.Random(f"shown/{number}")
    return random_person(chance), chance


def _ending(index: int) -> _Ending:
    return _ENDINGS[index % len(_ENDINGS)]


def _item(run_id: RunId, index: int, pool: tuple[Question, ...]) -> Item:
    position, slot = divmod(index, len(pool))
    tag = _TAGS[position % len(_TAGS)]
    images = [f"images/{position % DRAWN}.jpg"]
    if position % 5 == 4:
        images.append(f"images/{(position + 1) % DRAWN}.jpg")
    if position % 11 == 3:
        images = ["images/not-there.jpg"]
    record = {"id": f"person-{position:04}", "image": images, "source": "drawn", "conversation": []}
    return Item(
        id=item_id(run_id, index), run_id=run_id, position=position, slot=slot, record=json.dumps(record),
        images=tuple(images), tag=tag, topic=pool[slot].topic, question=pool[slot].ask(tag),
    )  # fmt: skip


def _outcome(item: Item, question: Question, model: str, turned: int) -> Outcome:
    index = item.id + turned
    ending, worker = _ending(index), f"worker-{index % 2 + 1}"
    right = true_answers(_person(item.position % DRAWN)[0])[question.template].removeprefix("{tag} ")
    rest = " ".join([right] * (40 if index % 17 == 0 else 1))
    words = {"tag": item.tag, "bare": item.tag.strip("<>"), "rest": rest}
    rungs = [Rung.FREE, Rung.RESEED, Rung.PREFILL]
    violations = tuple(
        Violation(
            item_id=item.id, run_id=item.run_id, rung=rung, kind=kind, text=_BROKEN[kind].format(**words),
            finish_reason=FinishReason.LENGTH if kind is ViolationKind.TRUNCATED else FinishReason.STOP,
            seed=None if index % 2 else 1000 + index % 1000, prompt_tokens=180, output_tokens=12,
            worker=worker, model=model,
        )
        for rung, kind in zip(rungs, ending.broken, strict=False)
    )  # fmt: skip
    answer = None
    if ending.status is Status.OK:
        answer = f"{item.tag} {rest}"
    elif violations:
        answer = violations[-1].text
    result = Result(
        item_id=item.id, run_id=item.run_id, status=ending.status, reason=ending.reason,
        detail=_DETAILS.get(ending.reason) if isinstance(ending.reason, Reason) else None,
        answer=answer, rung=ending.rung, finish_reason=None if answer is None else FinishReason.STOP,
        generations=len(violations) + (ending.status is Status.OK),
        prompt_tokens=180, output_tokens=len((answer or "").split()),
        image_seconds=0.01 + index % 7 / 100, engine_seconds=0.2 + index % 13 / 10, worker=worker, model=model,
        finished_at=now() - timedelta(seconds=300 - index % 300),
    )  # fmt: skip
    return Outcome(result, violations)
