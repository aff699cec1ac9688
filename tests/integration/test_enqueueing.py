"""A batch is enqueued when there is room, where the run's messages go by then, and is marked before it is sent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, queue_for
from persqa.broker.publisher import Publisher
from persqa.enqueueing import enqueue
from persqa.errors import BrokerUnavailable, RunStopped
from persqa.runs import Priority, RunState
from persqa.store import Store
from tests.support.builders import a_stored_run

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

HIGH = queue_for(None, Priority.HIGH)


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with closing(Store.open(f"sqlite:///{tmp_path}/x.db")) as opened:
        yield opened


@pytest.fixture
def publisher(broker_url: str) -> Generator[Publisher]:
    """Into a queue that may hold ten."""
    with closing(Publisher(broker_url, queue_bound=10)) as opened:
        yield opened


@pytest.fixture
def client(broker_url: str) -> Generator[redis.Redis]:
    with closing(connect(broker_url)) as opened:
        yield opened


def never() -> None:
    raise AssertionError("there is room")


def test_a_full_queue_is_waited_for(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 15)
    enqueue(store, publisher, run, items[:10], on_full=never, mark=True)
    seen: list[tuple[int, int]] = []

    def on_full() -> None:
        seen.append((client.llen(QUEUE), store.runs.published_to(run.id)))
        client.rpop(QUEUE, 2)

    enqueue(store, publisher, run, items[10:], on_full=on_full, mark=True)
    assert seen == [(waiting, items[9].id) for waiting in (10, 8, 6)], "nothing is marked while it waits"
    assert (client.llen(QUEUE), store.runs.published_to(run.id)) == (9, items[14].id)


def test_a_full_memory_is_waited_for(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 10)
    client.config_set("maxmemory-policy", "noeviction")  # pyright: ignore[reportUnknownMemberType]
    client.config_set("maxmemory", 1)  # pyright: ignore[reportUnknownMemberType]
    told: list[int] = []

    def on_full() -> None:
        told.append(client.llen(QUEUE))
        if len(told) == 2:
            client.config_set("maxmemory", 0)  # pyright: ignore[reportUnknownMemberType]

    enqueue(store, publisher, run, items, on_full=on_full, mark=True)
    assert (told, client.llen(QUEUE)) == ([0, 0], 10)


def test_where_to_is_asked_anew_while_it_waits(store: Store, publisher: Publisher, client: redis.Redis) -> None:
    run, items = a_stored_run(store, 20)
    enqueue(store, publisher, run, items[:10], on_full=never, mark=True)
    enqueue(
        store, publisher, run, items[10:], on_full=lambda: store.runs.set_priority(run, Priority.HIGH), mark=True
    )  # fmt: skip
    assert (client.llen(QUEUE), client.llen(HIGH)) == (10, 10)


def test_a_run_that_is_paused_meanwhile_gets_nothing_more(
    store: Store, publisher: Publisher, client: redis.Redis
) -> None:
    run, items = a_stored_run(store, 20)
    enqueue(store, publisher, run, items[:10], on_full=never, mark=True)
    with pytest.raises(RunStopped, match="is paused"):
        enqueue(
            store, publisher, run, items[10:], on_full=lambda: store.runs.set_state(run, RunState.PAUSED), mark=True
        )  # fmt: skip
    assert client.llen(QUEUE) == 10
    assert store.runs.published_to(run.id) < items[0].id, "nothing of a paused run counts as enqueued"


def test_what_could_not_be_sent_is_marked_and_so_looked_for(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokerUnavailable("its connection is lost, as patched")

    monkeypatch.setattr(Publisher, "push", refuse)
    run, items = a_stored_run(store, 3)
    with pytest.raises(BrokerUnavailable):
        enqueue(store, publisher, run, items, on_full=never, mark=True)
    assert store.runs.published_to(run.id) == items[2].id


def test_who_enqueues_again_leaves_a_run_to_be_adopted_that_was_resumed_meanwhile(
    store: Store, publisher: Publisher
) -> None:
    run, items = a_stored_run(store, 3)
    enqueue(store, publisher, run, items[:2], on_full=never, mark=True)
    for state in (RunState.PAUSED, RunState.ACTIVE):
        store.runs.set_state(run, state)
    enqueue(store, publisher, run, items[:2], on_full=never, mark=False)
    assert store.runs.awaits_publishing(run.id), "else the third item would be in no queue, and nobody missed it"
