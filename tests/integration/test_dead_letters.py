"""What Celery drops is written down first, whatever it carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from persqa.messages import item_messages
from persqa.reasons import Reason
from persqa.results import Status
from tests.support.builders import LEDGER, a_stored_run
from worker.dead_letters import DeadLetters

if TYPE_CHECKING:
    from persqa.store import Store


@pytest.mark.parametrize("expired", [True, False])
def test_the_item_of_a_task_that_celery_drops_ends_as_dead(store: Store, expired: bool) -> None:
    run, (item,) = a_stored_run(store, 1)
    (content,) = item_messages([item], run, ledger=LEDGER)
    letters = DeadLetters(store, worker="w")
    letters.bury_revoked([json.loads(content)], task_id="1", expired=expired).result(30)
    letters.close()
    reason = Reason.EXPIRED if expired else Reason.REVOKED
    assert store.dead_letters.counts() == {reason: 1}
    (dead,) = store.queries.pairs(run, status=Status.DEAD)
    assert dead.reason == reason


@pytest.mark.parametrize("arguments", [[], ["x"], [{"v": 99}], [1, 2]])
def test_a_task_that_carries_no_item_and_is_dropped_leaves_a_letter(store: Store, arguments: list[object]) -> None:
    letters = DeadLetters(store, worker="w")
    letters.bury_revoked(arguments, task_id="1", expired=False).result(30)  # pyrefly: ignore[bad-argument-type]
    letters.close()
    assert store.dead_letters.counts() == {Reason.REVOKED: 1}
