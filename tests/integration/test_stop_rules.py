"""Runs that pause themselves by their rules: once, whoever commits at the same time, and again only after 100 items."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.controls import refuse_stopped
from persqa.errors import RunStopped
from persqa.flags import Finding, Flag
from persqa.pairs import Choice
from persqa.reasons import Reason
from persqa.results import Status
from persqa.runs import RunState, parse_options
from persqa.store import Store
from producer import Client
from producer.cli import status
from tests.integration.test_worker import quiet
from tests.support.builders import an_item, an_outcome
from tests.support.oracle import check_empty
from tests.support.queues import held, many_records
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.items import Item
    from persqa.results import Outcome
    from persqa.runs import Run
    from tests.conftest import Site

_BAD = {"answer": None, "reason": Reason.BROKEN_IMAGE}


def _a_run(store: Store, items: int, *rules: str) -> tuple[Run, Iterator[Item]]:
    options = parse_options(stop_if=list(rules))
    run = store.runs.create("r", options=options, pool_digest="p", fingerprint="f", base="/data", item_count=items)
    batch = [an_item(run.id, index) for index in range(items)]
    store.ledger.add(batch, [])
    return run, iter(batch)


def _some(items: Iterator[Item], ok: int, bad: int, status: Status = Status.NONCOMPLIANT) -> list[Outcome]:
    more = _BAD if status is Status.INVALID else {}
    good = [an_outcome(next(items)) for _ in range(ok)]
    return good + [an_outcome(next(items), status, **more) for _ in range(bad)]


def test_a_rule_stops_a_run_once_it_is_sure_and_after_a_resume_only_by_what_came_since(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run, items = _a_run(store, 1000, "dead>1%", "noncompliant>20%")

    def after(ok: int, bad: int) -> tuple[RunState, str | None]:
        store.results.commit(_some(items, ok, bad))
        found = store.queries.progress(run.id)
        return found.state, re.sub(r".*rule ", "", str(found.stop)) if found.stop else None

    assert after(0, 99) == (RunState.ACTIVE, None)
    paused = (
        RunState.PAUSED,
        "noncompliant>20%: 100 of 100 answers are noncompliant (100.0 %; 19 times out of 20 from 96.3 to 100.0 %)",
    )
    assert after(0, 1) == paused
    assert after(0, 3) == paused, "what was in flight changes nothing"
    with pytest.raises(RunStopped, match=r"paused itself by its rule noncompliant>20%.*persqa resume r"):
        refuse_stopped(store.runs.find("r"))
    store.runs.set_state(run, RunState.ACTIVE)
    assert store.runs.find("r").stop is None
    assert after(20, 79) == (RunState.ACTIVE, None), "fewer than 100 more"
    assert after(300, 0) == (RunState.ACTIVE, None), "more, and good ones"
    state, why = after(0, 60)
    assert (state, why and why[:49]) == (RunState.PAUSED, "noncompliant>20%: 139 of 459 answers are noncompl")
    assert len([one for one in caplog.records if "paused itself" in one.getMessage()]) == 2


def test_reasons_count_among_all_that_ended_and_what_is_done_is_not_paused(store: Store) -> None:
    run, items = _a_run(store, 400, "broken_image>10%", "wrong_tag>0%")
    store.results.commit(_some(items, 95, 15, Status.INVALID))
    assert store.queries.progress(run.id).state is RunState.ACTIVE, "chance can do it"
    store.results.commit(_some(items, 0, 30, Status.INVALID))
    assert "45 of 140 items that have ended are broken_image" in str(store.queries.progress(run.id).stop)
    store.runs.set_state(run, RunState.ACTIVE)
    # What is asked again has no result, and the rule has still seen nothing new.
    store.ledger.reopen(run.id, Choice(status=Status.INVALID))
    store.results.commit(_some(items, 50, 100, Status.INVALID))
    assert store.queries.progress(run.id).state is RunState.PAUSED
    store.runs.set_state(run, RunState.ACTIVE)
    store.results.commit(_some(items, 0, 110, Status.INVALID))
    left = next(store.ledger.pending(run.id))
    store.runs.set_state(run, RunState.ACTIVE)
    store.results.commit([an_outcome(item, Status.INVALID, **_BAD) for item in left])
    assert store.queries.progress(run.id).state is RunState.DONE
    assert store.runs.find("r").state is RunState.ACTIVE


def test_flags_count_among_the_answers(store: Store) -> None:
    run, items = _a_run(store, 300, "refusal>5%", "blank>90%")
    refused = (Finding(Flag.REFUSAL, 1.0),)
    store.results.commit([replace(one, findings=refused) for one in _some(items, 20, 0)])
    store.results.commit(_some(items, 100, 0))
    assert "20 of 120 answers are refusal" in str(store.queries.progress(run.id).stop)


def test_whoever_commits_at_the_same_time_one_of_them_pauses_it_and_a_resume_holds(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        stores = [stack.enter_context(closing(Store.open(database_url))) for _ in range(4)]
        run, items = _a_run(stores[0], 800, "noncompliant>20%")
        for turn in (1, 2, 3):
            parts = [[_some(items, 1, 4) for _ in range(12)] for _ in stores]

            def commit(store: Store, some: list[list[Outcome]]) -> None:
                for outcomes in some:
                    store.results.commit(outcomes)

            list(threads.map(commit, stores, parts))
            assert stores[0].queries.progress(run.id).state is RunState.PAUSED
            said = [one for one in caplog.records if "paused itself" in one.getMessage()]
            assert len(said) == turn, [one.getMessage() for one in said]
            stores[turn].runs.set_state(run, RunState.ACTIVE)


def test_a_worker_that_dies_before_it_decides_loses_nothing(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, items = _a_run(store, 300, "noncompliant>20%")
    with monkeypatch.context() as dying:
        dying.setattr("persqa.store.stopping.Stopping.look", _dies)
        with pytest.raises(KeyboardInterrupt):
            store.results.commit(_some(items, 0, 150))
    assert store.queries.progress(run.id).state is RunState.ACTIVE
    with closing(Store.open(database_url)) as other:
        other.results.commit(_some(items, 9, 1))
    assert store.queries.progress(run.id).state is RunState.PAUSED


def _dies(*_given: object) -> None:
    raise KeyboardInterrupt


def test_three_workers_one_of_them_killed_stop_a_run_again_and_again_and_it_ends_whole(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = scripted(site.settings, "too_long").model_copy(update={"window": 16, "lease_seconds": 2.0})
    with Client(settings) as client, ExitStack() as stack:
        run = client.submit(many_records(tmp_path / "data", 900), stop_if=["too_long>20%"])
        workers = [stack.enter_context(WorkerProcess(settings, tmp_path)) for _ in range(3)]
        for worker in workers:
            worker.wait_ready()
        workers[0].process.kill()
        stops, ended = 0, 0
        while run.progress().pending:
            with suppress(RunStopped):
                run.wait(timeout_seconds=60, display=quiet)
                break
            assert "paused itself by its rule too_long>20%" in str(run.progress().stop)
            stops += 1
            wait_until(lambda: held(settings) == 0, describe="what has begun is finished")
            before, ended = ended, 900 - run.progress().pending
            assert ended >= before + 100
            if stops == 1:
                status.command(None, broker_url=settings.broker_url, database_url=settings.database_url)
                assert "too_long>20%" in capsys.readouterr().out
            run.resume()
        # The last rest of it may have been under way when it paused itself once more.
        stops += run.progress().stop is not None
        said = sum(worker.text().count("paused itself") for worker in workers)
        assert stops >= 2
        assert said in (stops, stops - 1), "the killed one may have decided, and not said so"
        assert run.progress().ended[Status.INVALID] == 300
        check_empty(settings)
