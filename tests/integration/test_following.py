"""Following runs: each ending once behind a cursor, in one order for all, whatever goes on beside it."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING

import pytest

from persqa.clock import now
from persqa.errors import RunNotFound, RunStopped, SettingsError
from persqa.pairs import Choice
from persqa.results import Outcome, Status
from persqa.runs import RunState
from persqa.store import Store
from producer import Client
from tests.support.builders import a_stored_run, an_item, an_outcome
from tests.support.programs import Program
from tests.support.sql import change, select
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from persqa.items import Item
    from persqa.pairs import Ending
    from persqa.runs import Run


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url=database_url, local_worker=False) as opened:
        yield opened


def outcomes(items: Sequence[Item], *, requeues: int = 0, status: Status = Status.OK) -> list[Outcome]:
    return [replace(an_outcome(item, status), requeues=requeues) for item in items]


def of(rows: Sequence[Ending]) -> list[tuple[int, int]]:
    return [(row.cursor, row.item_id) for row in rows]


def follow_pages(store: Store, run: Run, over: Event) -> list[Ending]:
    """All that is seen of a run page by page, until it is over."""
    rows: list[Ending] = []
    after = 0
    while True:
        ends = over.is_set()
        page = store.endings.page(run, after)
        assert after <= page.cursor
        rows += page.rows
        after = page.cursor
        if ends and page.last:
            return rows


def test_numbers_are_seen_in_their_order_while_many_commit_and_some_is_asked_again(
    store: Store, client: Client
) -> None:
    """Who has seen a number has seen all lower ones: nothing else keeps followers from missing a row."""
    (run, items), (other, others) = (a_stored_run(store, number, f"r{number}") for number in (240, 24))
    over = Event()

    def commit(start: int) -> None:
        for at in range(start, 240, 40):
            store.results.commit(outcomes([*items[at : at + 10], others[at // 10]]))

    def ask_again() -> None:
        for _ in range(6):
            store.ledger.reopen(run.id, Choice(items=tuple(item.id for item in items[:40])))

    with ThreadPoolExecutor(6, thread_name_prefix="test") as threads:
        follower = threads.submit(follow_pages, client.store, run, over)
        work = [*(threads.submit(commit, start) for start in range(0, 40, 10)), threads.submit(ask_again)]
        failed = [one.exception() for one in work]
        over.set()
        seen = follower.result()
    assert failed == [None] * len(work)
    assert [row.cursor for row in seen] == sorted({row.cursor for row in seen}), "each number once, and in order"
    # What nobody asked again was seen, and nothing of it twice.
    assert sorted(row.item_id for row in seen if row.item_id > items[39].id) == [item.id for item in items[40:]]
    for one, number in ((run, 240), (other, 24)):
        numbers = store.endings.numbers(one.id, 0)
        assert (len(numbers.items), numbers.cursor) == (number, number), "without a gap"
    for item in [item for chunk in store.ledger.pending(run.id) for item in chunk]:
        store.results.commit(outcomes([item], requeues=item.requeues))
    assert sorted(item for _, item in of(list(client.run("r240").results(follow=True)))) == [item.id for item in items]


def test_a_follower_goes_on_where_it_stopped_and_ends_with_the_run(store: Store, client: Client) -> None:
    run, items = a_stored_run(store, 6)
    followed = client.run("r")
    for one in (items[4], items[1]):
        store.results.commit(outcomes([one]))
    first = list(islice(followed.results(follow=True), 2))
    assert of(first) == [(1, items[4].id), (2, items[1].id)]
    assert first[0].answer == "<mam> wears red."
    # In one transaction, the clocks of the workers say which was first.
    late, early = outcomes([items[0], items[5]], status=Status.NONCOMPLIANT)
    store.results.commit(
        [late, replace(early, result=replace(early.result, finished_at=first[0].finished_at or now()))]
    )
    assert store.ledger.reopen(run.id, Choice(items=(items[4].id,))).taken_back == 1
    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        rest = threads.submit(lambda: list(followed.results(follow=True, after=first[1].cursor)))
        store.results.commit(outcomes([items[2], items[3]]))
        store.results.commit(outcomes([items[4]], requeues=1))
        rows = rest.result(timeout=30)
    assert [row.item_id for row in rows] == [items[n].id for n in (5, 0, 2, 3, 4)]
    assert [row.cursor for row in rows] == [3, 4, 5, 6, 7]
    # Who begins now does not see what was taken back.
    assert of(list(followed.results(follow=True)))[0] == (2, items[1].id)
    assert [row.cursor for row in followed.results(follow=True, status="noncompliant")] == [3, 4]
    assert list(followed.results(follow=True, after=7, flag="refusal")) == []


def test_an_open_run_is_followed_until_it_is_closed_and_done(store: Store, client: Client, database_url: str) -> None:
    run, items = a_stored_run(store, 1)
    # As an open run, of which nothing more is needed here.
    change(database_url, "UPDATE runs SET open = TRUE")
    store.results.commit(outcomes(items))
    seen: list[Ending] = []

    def follow() -> None:
        seen.extend(client.run("r").results(follow=True))

    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        following = threads.submit(follow)
        store.ledger.add([an_item(run.id, 1)], [])
        store.results.commit(outcomes([an_item(run.id, 1)]))
        assert client.run("r").progress().state is RunState.OPEN
        assert not following.done()
        store.additions.close(run)
        following.result(timeout=30)
    assert [row.position for row in seen] == [0, 1]


def test_nobody_follows_in_vain(store: Store, client: Client) -> None:
    run, items = a_stored_run(store, 3)
    followed = client.run("r")
    store.results.commit(outcomes(items[:1]))
    with pytest.raises(SettingsError, match="has not ended"):
        followed.results(follow=True, status="pending")
    with pytest.raises(SettingsError, match="has had 1 endings so far"):
        next(followed.results(follow=True, after=7))
    with pytest.raises(SettingsError, match="only what is followed has cursors"):
        followed.results(after=1)
    rows = followed.results(follow=True)
    assert next(rows).cursor == 1
    followed.cancel()
    with pytest.raises(RunStopped, match="was cancelled with 2 of 3 items to go"):
        next(rows)
    store.deletion.begin(run)
    with pytest.raises(RunStopped, match="is being deleted"):
        next(followed.results(follow=True, after=1))
    for _ in store.deletion.steps(run.id):
        pass
    with pytest.raises(RunNotFound, match="the run 'r' is gone"):
        next(followed.results(follow=True))


def test_a_deletion_takes_the_order_of_ending_step_by_step(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persqa.store.deletion._AT_ONCE", 7)
    monkeypatch.setattr("persqa.store.database._GIVE_WAY_SECONDS", 0.001)
    (one, ones), (_, twos) = (a_stored_run(store, 20, name) for name in ("one", "two"))
    store.results.commit(outcomes([*ones, *twos]))
    assert len(list(store.deletion.steps(store.deletion.begin(one).id))) == 3
    assert select(database_url, "SELECT count(*), min(number), max(number) FROM endings") == [(20, 1, 20)]


def test_who_sleeps_is_told_nothing_and_misses_nothing(store: Store, client: Client) -> None:
    """On PostgreSQL it holds nothing while it has rows; what is committed then is read when it goes on."""
    run, items = a_stored_run(store, 3)
    with closing(client.store.endings.news(run.id)) as news:
        news.wait(0.01)
        store.results.commit(outcomes(items[:1]))
        news.wait(30)
        news.rest()
        store.results.commit(outcomes(items[1:2]))
        # The first wait after it returns at once, so that it is read what nobody told.
        news.wait(30)
        assert store.endings.numbers(run.id, 0).cursor == 2
        with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
            waiting = threads.submit(news.wait, 60)
            store.results.commit(outcomes(items[2:]))
            waiting.result(timeout=30)
            waiting = threads.submit(news.wait, 60)
            news.wake()
            waiting.result(timeout=30)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_follower_is_started_again_behind_its_last_row(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    _, items = a_stored_run(store, 40)
    lines: list[dict[str, object]] = []
    for part, start in enumerate(range(0, 40, 20)):
        after = str(lines[-1]["cursor"] if lines else 0)
        out = tmp_path / f"out-{part}"
        command = ["results", "r", "--follow", "--after", after, "--json", "--database-url", database_url]
        with out.open("wb") as file:
            env = {"PATH": os.environ["PATH"]}
            follower = Program(["persqa", *command], env=env, cwd=tmp_path, stdout=file, stderr=file)
            for at in range(start, start + 20, 5):
                store.results.commit(outcomes(items[at : at + 5]))
            if part == 0:
                wait_until(lambda: out.read_text().count("\n") >= 8, describe="it has some rows")  # noqa: B023
                follower.kill()
            assert (follower.wait() == 0) is (part == 1)
        # A killed one may have written part of a line.
        lines += [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert [line["cursor"] for line in lines] == list(range(1, 41))
    assert sorted(str(line["item_id"]) for line in lines) == [str(item.id) for item in items]
