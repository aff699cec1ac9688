"""What only the whole run shows: planted stock answers and nearly the same pictures are found, and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.flags import Flag
from persqa.items import ItemId
from persqa.pairs import Choice
from persqa.runs import parse_options
from tests.support.builders import an_item, an_outcome
from tests.support.sql import select

if TYPE_CHECKING:
    from persqa.items import Item
    from persqa.results import Outcome
    from persqa.runs import Run
    from persqa.store import Store

_QUESTIONS = ("Is <mam> smiling?", "How would you describe <mam>'s attire?", "What color is <mam>'s hair?")
_STOCK = "<mam> is a very nice person to look at."
_COLOURS = ("red", "blue", "green", "black", "white")
_ITEMS, _PLANTED, _NEAR = 900, 60, 20


def _honest(number: int, chance: random.Random) -> str:
    match number % 3:
        case 0:
            return "Yes, <mam> is smiling." if number % 2 else "<mam> is not smiling."
        case 1:
            return f"<mam> wears coat {number} and hat {chance.randrange(10**6)}."
        case _:
            return f"<mam> has {chance.choice(_COLOURS)} hair."


def _answered(store: Store, name: str) -> tuple[Run, list[Item]]:
    """A run with a stock answer to every fifth question about attire, and every 45th picture nearly the one before."""
    run = store.runs.create(
        name, options=parse_options(), pool_digest="p", fingerprint="f", base="/data", item_count=_ITEMS
    )
    batch = [an_item(run.id, number, question=_QUESTIONS[number % 3]) for number in range(_ITEMS)]
    store.ledger.add(batch, [])
    chance = random.Random(4)
    outcomes: list[Outcome] = []
    picture = 0
    for number, item in enumerate(batch):
        near = number % (_ITEMS // _NEAR) == 7
        picture = picture ^ 0b1001 if near else chance.getrandbits(64) - 2**63
        planted = number % 3 == 1 and number % 5 == 0
        outcome = an_outcome(item)
        result = replace(outcome.result, answer=_STOCK if planted else _honest(number, chance))
        outcomes.append(replace(outcome, result=result, picture_hash=picture))
    store.results.commit(outcomes)
    return run, batch


def _flagged(database_url: str, flag: Flag) -> list[int]:
    rows = select(database_url, f"SELECT item_id FROM flags WHERE flag = '{flag}' ORDER BY item_id")
    return [int(item_id) for (item_id,) in rows]


def test_what_was_planted_is_found_and_nothing_else(store: Store, database_url: str) -> None:
    run, batch = _answered(store, "planted")
    seen = store.hindsight.look_over(run.id)
    planted = [item.id for number, item in enumerate(batch) if number % 3 == 1 and number % 5 == 0]
    near = [item.id for number, item in enumerate(batch) if number % (_ITEMS // _NEAR) == 7]
    assert _flagged(database_url, Flag.STOCK_ANSWER) == planted
    assert _flagged(database_url, Flag.SEEN_BEFORE) == near
    (stock,) = seen.stock_answers
    assert (stock.question, stock.answer, stock.items) == (_QUESTIONS[1].replace("<mam>", "{tag}"), _STOCK, _PLANTED)
    assert (seen.near_pictures, seen.added, seen.removed) == (_NEAR, _PLANTED + _NEAR, 0)
    counts = store.flags.counts([run.id])[run.id]
    assert counts == {Flag.STOCK_ANSWER: _PLANTED, Flag.SEEN_BEFORE: _NEAR}


def test_only_what_has_changed_is_written(store: Store, database_url: str) -> None:
    run, _ = _answered(store, "again")
    first = store.hindsight.look_over(run.id)
    again = store.hindsight.look_over(run.id)
    assert (again.added, again.removed, again.stock_answers) == (0, 0, first.stock_answers)
    taken = _flagged(database_url, Flag.STOCK_ANSWER)[4:]
    store.ledger.reopen(run.id, Choice(items=tuple(map(ItemId, taken))))
    after = store.hindsight.look_over(run.id)
    assert (after.added, after.removed, after.stock_answers) == (0, 4, ())
    assert Flag.STOCK_ANSWER not in store.flags.counts([run.id])[run.id]
