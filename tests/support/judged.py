"""Runs with answers of all kinds, written straight into a database: what figures and comparisons are about."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from persqa.items import Item, item_id
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.results import Outcome, Status
from persqa.runs import Run, parse_options
from persqa.verdicts import ViolationKind
from tests.support.builders import MAM, a_violation, an_outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.runs import RunId
    from persqa.store import Store

#: Topics and their questions.
QUESTIONS = {
    "attire": "What is <mam> wearing?",
    "hair": "What color is <mam>'s hair?",
    "place": "Where is <mam>?",
    "What is <mam> doing <b>now</b>?": "What is <mam> doing <b>now</b>?",
}
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_COLOURS = ("red", "blue", "brown", "green", "black")


def judged_run(
    store: Store,
    name: str,
    items: int,
    *,
    seed: int = 1,
    fingerprint: str = "f",
    shift: int = 0,
    **options: object,
) -> Run:
    """A run of which each tenth item is pending, and the others have ended in every way; its pictures do not exist.

    Args:
        store: where it is written.
        name: its name.
        items: how many items it has.
        seed: what the answers are drawn with.
        fingerprint: of its records.
        shift: so many records are left out at the beginning of the input.
        options: of the run.
    """
    run = store.runs.create(
        name, options=parse_options(**options), pool_digest="p", fingerprint=fingerprint, base="/data", item_count=items
    )
    pictures = [f"{number}.png" for number in range(max(1, items // 5))]
    ledger = [_item(run.id, index, index + shift, pictures) for index in range(items)]
    for start in range(0, items, 10_000):
        store.ledger.add(ledger[start : start + 10_000], [])
    chance = random.Random(seed)
    outcomes = [_outcome(item, chance, place) for place, item in enumerate(ledger) if place % 10 != 9]
    for start in range(0, len(outcomes), 5000):
        store.results.commit(outcomes[start : start + 5000])
    return run


def _item(run_id: RunId, index: int, record: int, pictures: Sequence[str]) -> Item:
    topic = list(QUESTIONS)[record % len(QUESTIONS)]
    picture = pictures[record % len(pictures)]
    return Item(
        id=item_id(run_id, index),
        run_id=run_id,
        position=index,
        slot=0,
        record=json.dumps({"image": picture, "id": record}),
        images=(picture,),
        tag=MAM,
        topic=topic,
        question=QUESTIONS[topic],
    )


def _outcome(item: Item, chance: random.Random, place: int) -> Outcome:
    drawn, colour = chance.random(), chance.choice(_COLOURS)
    answer = f"<mam> has something {colour}" + chance.choice(["", ", and it suits them", " & <i>more</i>"]) + "."
    more: dict[str, object] = {
        "model": "m-1" if place % 3 else "m-2",
        "worker": f"w{place % 4}",
        "image_seconds": chance.lognormvariate(-4, 0.6),
        "engine_seconds": chance.lognormvariate(0, 0.5),
        "finished_at": BEGIN + timedelta(seconds=place * 0.5),
        "rung": Rung.FREE,
    }
    if drawn < 0.7:
        return an_outcome(item, Status.OK, answer=answer, **more)
    broken = a_violation(item, Rung.FREE, chance.choice(list(ViolationKind)), text=answer[6:])
    if drawn < 0.85:
        rung = Rung.RESEED if drawn < 0.8 else Rung.PREFILL
        return replace(an_outcome(item, Status.OK, answer=answer, **more | {"rung": rung}), violations=(broken,))
    if drawn < 0.95:
        kept = an_outcome(item, Status.NONCOMPLIANT, answer=answer[6:], **more | {"reason": broken.kind})
        return replace(kept, violations=(broken,))
    bare = {name: more[name] for name in ("worker", "finished_at")}
    if drawn < 0.98:
        return an_outcome(item, Status.INVALID, answer=None, reason=Reason.NOT_FOUND, **bare)
    return an_outcome(item, Status.DEAD, answer=None, reason=Reason.TIME_LIMIT, **bare)
