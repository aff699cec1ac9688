"""What a second terminal sees: of workers of another database, of a run beside it, and of a broker that is away."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from persqa.broker.workers import Workers
from persqa.phases import Phase
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from tests.integration.test_run_command import environment
from tests.integration.test_waiting import a_worker
from tests.support.builders import a_stored_run, an_outcome, write_images
from tests.support.looking import Answer, typed
from tests.support.servers import broker_process, valkey_binary, valkey_server
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a run of which two of five items are answered."""
    monkeypatch.chdir(tmp_path)
    with closing(Store.open("sqlite:///persqa.db")) as store:
        _run, batch = a_stored_run(store, 5, "r")
        store.results.commit([an_outcome(item) for item in batch[:2]])
    return tmp_path


@pytest.fixture
def foreign() -> Iterator[str]:
    """A broker whose only worker serves another database."""
    with valkey_server() as url, closing(Workers(url)) as workers:
        workers.report(a_worker("a@host", ledger="f" * 16))
        yield url


def said(answer: Answer) -> str:
    return " ".join((answer.out + answer.error).split())


def test_workers_of_another_database_are_told_apart_and_not_waited_for(tmp_path: Path, foreign: str) -> None:
    advice = "the workers here serve another database; the items wait for one of this database: persqa worker"
    data = write_images(tmp_path / "data", 2)
    submitted = typed("submit", str(data), "--broker-url", foreign)
    assert (submitted.code, f"warning: {advice}" in said(submitted)) == (0, True), submitted
    shown = typed("status", "--broker-url", foreign)
    assert f"warning: {advice}" in said(shown)
    assert "ready, of another database" in said(shown)
    facts = json.loads(typed("status", "--broker-url", foreign, "--json").out)
    assert [worker["other_database"] for worker in facts["workers"]] == [True]


@pytest.mark.usefixtures("here")
def test_with_redis_away_one_sees_what_the_database_knows() -> None:
    away = ("--broker-url", _AWAY)
    shown = typed("status", *away)
    assert (shown.code, shown.at_once) == (3, True), shown
    assert all(words in said(shown) for words in (f"Redis at {_AWAY} failed", "what the database knows", "r 5 2"))
    facts = typed("status", "--json", *away)
    assert (facts.code, json.loads(facts.out)["runs"][0]["ok"]) == (3, 2)
    results = typed("results", "r", *away)
    assert (results.code, results.error) == (0, "")
    with closing(Store.open("sqlite:///persqa.db")) as store:
        run = store.runs.find("r")
        store.runs.begin_publishing(run, "0" * 16)
        store.runs.mark_published(run.id, next(store.ledger.pending(run.id))[-1].id)
    audit = typed("audit", *away)
    assert (audit.code, "r 5 2" in said(audit), "yes" in audit.out) == (3, True, True), audit
    assert "pending items were not looked for in its queues" in audit.error
    (checked,) = json.loads(typed("audit", "--json", *away).out)
    assert (checked["holds"], checked["queue_checked"]) == (True, False)


def test_what_was_enqueued_at_another_broker_is_called_so(tmp_path: Path) -> None:
    words = "enqueued at another broker; submit it again here, or name that one"
    with broker_process(valkey_binary()) as one, broker_process(valkey_binary()) as other:
        with Client(load_settings(broker_url=one.url)) as client:
            client.submit(write_images(tmp_path / "data", 2))
        shown = typed("status", "--broker-url", other.url)
        assert (shown.code, f"warning: records: {words}" in said(shown)) == (0, True), shown
        assert "there is no worker" not in said(shown)
        audit = typed("audit", "--broker-url", other.url)
        assert (audit.code, f"records: 2 pending items were {words}" in said(audit)) == (1, True), audit
        assert typed("audit", "--broker-url", one.url).code == 0
        assert words not in said(typed("status", "--broker-url", one.url))


def test_status_sees_the_worker_of_a_run_beside_it(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    slow = {"SCRIPT_SECONDS": "600", "SCRIPT_NOTES": str(tmp_path / "notes"), "PERSQA_DRAIN_SECONDS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "producer.cli", "run", str(data)],
        env={**environment(tmp_path, "takes_long"), **slow},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as run:  # fmt: skip

        def facts() -> dict[str, Any]:
            answer = typed("status", "--json")
            return json.loads(answer.out) if answer.out else {"workers": []}

        def works() -> bool:
            told = facts()
            assert not [one for one in told.get("warnings", ()) if "no `persqa run`" in one]
            return [one["in_flight"] for one in told["workers"]] == [3]

        try:
            wait_until(works, describe="it is seen to work")
            assert (facts()["workers"][0]["phase"], facts()["warnings"]) == (Phase.READY, [])
            assert "whoever works on it" in said(typed("resume", "records"))
        finally:
            run.terminate()
        assert run.wait() == 143
    (warning,) = facts()["warnings"]
    assert "no `persqa run` on this machine works on what is pending" in warning
    resumed = said(typed("resume", "records"))
    assert "nobody on this machine works on it" in resumed
    assert "half a minute" not in resumed


def test_a_submit_to_a_broker_that_is_away_says_what_is_there_all_the_same(tmp_path: Path) -> None:
    answer = typed("submit", str(write_images(tmp_path / "data", 2)), "--broker-url", _AWAY)
    assert answer.code == 3
    assert "the run records is in the database, with 2 items" in answer.error
    assert "the same submit enqueues them" in answer.error
    with closing(Store.open("sqlite:///persqa.db")) as store:
        assert store.queries.progress(store.runs.find("records").id).pending == 2
