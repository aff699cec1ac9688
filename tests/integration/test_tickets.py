"""Tickets and asyncio: waiting for single records, many at once, and what ends that."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from persqa import AsyncClient, Client
from persqa.errors import KeyTaken, RunNotFound, RunStopped
from persqa.results import Status
from persqa.runs import RunState
from tests.support.builders import an_outcome
from tests.support.servers import valkey_server
from tests.support.wait import give_way, spend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.runs import RunId
    from persqa.store import Store
    from persqa.store.endings import Numbers
    from producer.open_run import OpenRun


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with valkey_server() as broker, Client(database_url=database_url, broker_url=broker) as opened:
        yield opened


def records(start: int, end: int, **more: object) -> list[dict[str, object]]:
    return [{"id": number, "image": f"/pictures/{number}.png", **more} for number in range(start, end)]


def answer_all(store: Store, run: OpenRun, answer: str = "<mam> wears red.") -> None:
    for chunk in store.ledger.pending(run.run.id):
        store.results.commit([replace(an_outcome(item, answer=answer), requeues=item.requeues) for item in chunk])


def test_a_ticket_gives_the_result_of_its_record(client: Client) -> None:
    run = client.open_run("camera", key="id", questions_per_image=2)
    one, other = run.add_many(records(0, 2))
    assert (one.status, one.added, one.key, len(one.items), other.position) == ("pending", "added", "0", 2, 1)
    with pytest.raises(
        TimeoutError,
        match=r"<Ticket '0': record 1, added> has no result after 0.01 s: there is no worker; .* persqa worker",
    ):
        one.result(timeout=0.01)
    with ThreadPoolExecutor(3, thread_name_prefix="test") as threads:
        waiting = [threads.submit(ticket.result, 60) for ticket in (one, one, other)]
        answer_all(client.store, run)
        rows = [one.result() for one in waiting]
    assert [(row.item_id, row.answer) for row in rows] == [
        (ticket.items[0], "<mam> wears red.") for ticket in (one, one, other)
    ]
    assert [row.item_id for row in one.results(timeout=30)] == list(one.items)
    assert other.status == "ok"
    # What is there already resolves at once, also for who has not been here before.
    assert run.add(records(1, 2)[0]).result(timeout=30).item_id == other.items[0]


def test_a_replaced_record_has_a_ticket_of_its_own_answer(client: Client) -> None:
    run = client.open_run("camera", key="id")
    old = run.add(records(0, 1)[0])
    answer_all(client.store, run, "<mam> is old.")
    assert old.result(timeout=30).answer == "<mam> is old."
    with pytest.raises(KeyTaken):
        run.add(records(0, 1, other=True)[0])
    new = run.add(records(0, 1, other=True)[0], replace=True)
    assert (new.added, new.status) == ("replaced", "pending")
    answer_all(client.store, run, "<mam> is new.")
    assert new.result(timeout=30).answer == "<mam> is new."
    assert old.result().answer == "<mam> is old.", "what it once gave stays"


def test_nobody_waits_for_what_never_comes(client: Client) -> None:
    run = client.open_run("camera", key="id")
    one, other = run.add_many(records(0, 2))
    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        waiting = threads.submit(one.result)
        run.cancel()
        with pytest.raises(RunStopped, match="was cancelled with 2 of 2 items to go"):
            waiting.result(timeout=30)
        client.store.deletion.begin(run.run)
        for _ in client.store.deletion.steps(run.run.id):
            pass
        with pytest.raises(RunNotFound, match="the run 'camera' is gone"):
            other.result(timeout=30)
        another = client.open_run("another", key="id").add(records(0, 1)[0])
        waiting = threads.submit(another.result)
        while not waiting.running():
            spend(0.01)
        spend(0.05)
        client.close()
        with pytest.raises(RunStopped, match="the client was closed"):
            waiting.result(timeout=30)


def test_a_fork_waits_for_itself(client: Client) -> None:
    run = client.open_run("camera", key="id")
    one, other = run.add_many(records(0, 2))
    with pytest.raises(TimeoutError):
        one.result(timeout=0.01)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            answer_all(client.store, run)
            code = 0 if one.result(timeout=30).status == Status.OK else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [ticket.result(timeout=30).status for ticket in (one, other)] == ["ok", "ok"]


def test_no_fork_happens_within_a_look(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run = client.open_run("camera", key="id")
    tickets = run.add_many(records(0, 2))
    inside = threading.Lock()
    read = client.store.endings.numbers

    def long(run_id: RunId, after: int) -> Numbers:
        with inside:
            spend(0.02)
            return read(run_id, after)

    monkeypatch.setattr(client.store.endings, "numbers", long)
    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        waiting = threads.submit(tickets[0].result, 30)
        for _ in range(10):
            wait_until(inside.locked, describe="it reads")
            if not (pid := os.fork()):
                os._exit(inside.locked())
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        answer_all(client.store, run)
        assert waiting.result().status == Status.OK


def test_a_thousand_tickets_are_awaited_at_once_with_few_threads(client: Client) -> None:
    async def go() -> None:
        settings = client.settings
        async with AsyncClient(settings) as everything:
            run = await everything.open_run("camera", key="id")
            tickets = await run.add_many(records(0, 1000))
            assert (tickets[0].added, await tickets[0].status) == ("added", "pending")
            with pytest.raises(TimeoutError):
                await tickets[0].result(timeout=0.01)
            followed: list[int] = []

            async def follow() -> None:
                followed.extend([row.cursor async for row in run.results(follow=True)])

            async with asyncio.TaskGroup() as group:
                rows = [group.create_task(ticket.result(timeout=60)) for ticket in tickets[:500]]
                await give_way(0.05)
                group.create_task(follow())
                before = threading.active_count()
                await asyncio.to_thread(answer_all, client.store, client.open_run("camera"))
                awaited = await asyncio.gather(*tickets[500:])
                await run.close()
            assert before < 20
            found = [*(one.result() for one in rows), *awaited]
            assert [row.item_id for row in found] == [ticket.items[0] for ticket in tickets]
            assert followed == list(range(1, 1001))
            assert (await run.progress()).state is RunState.DONE
            assert [run.name for run in await everything.runs()] == ["camera"]
            async with aclosing(run.results()) as some:
                assert (await anext(some)).position == 0

    asyncio.run(go())


def test_who_stops_following_leaves_no_thread_behind(client: Client) -> None:
    async def go() -> None:
        async with AsyncClient(client.settings) as everything:
            run = await everything.open_run("camera", key="id")
            ticket = await run.add(records(0, 1)[0])
            for waits in (anext(run.results(follow=True)), ticket.result(), ticket.results()):
                task = asyncio.ensure_future(waits)
                await give_way(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            with pytest.raises(RunNotFound, match="no run is named 'other'"):
                await everything.run("other")

    asyncio.run(go())
