"""Deleting a run: bit by bit, beside workers and submits, whatever interrupts it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.audit import audit
from persqa.broker.keys import QUEUE
from persqa.broker.publisher import Publisher
from persqa.errors import InputError, RunConflict, RunNotFound, RunStopped, SettingsError
from persqa.messages import Asked
from persqa.pairs import Choice
from persqa.policies import Rung
from persqa.results import Outcome, Status
from persqa.runs import Priority, RunState
from persqa.store import Store, Want
from persqa.verdicts import ViolationKind
from producer import Client
from producer.cli import app
from tests.integration.test_blob_repair import uri
from tests.integration.test_worker import answer_all, counts, quiet
from tests.support.builders import a_stored_run, a_violation, an_item, an_outcome, write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.queues import held, waiting
from tests.support.sql import select
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site

_ROOT = Path(__file__).parents[2]
_TABLES = ("items", "results", "earlier_results", "violations", "run_counters", "runs")


class _Interrupted(Exception):
    """The deletion ends here."""


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.store.deletion._AT_ONCE", 7)
    monkeypatch.setattr("persqa.store.deletion._TEXTS_AT_ONCE", 2)
    monkeypatch.setattr("persqa.store.database._GIVE_WAY_SECONDS", 0.001)


def rows_of(database_url: str) -> dict[str, int]:
    return {table: select(database_url, f"SELECT count(*) FROM {table}")[0][0] for table in _TABLES}


@pytest.mark.usefixtures("small_steps")
def test_nothing_of_it_stays_and_nothing_of_others_goes(store: Store, database_url: str) -> None:
    (one, ones), (two, twos) = (a_stored_run(store, 40, name) for name in ("one", "two"))
    for batch in (ones, twos):
        broken = a_violation(batch[3], Rung.FREE, ViolationKind.EMPTY)
        store.results.commit(
            [an_outcome(item, list(Status)[item.position % 4]) for item in batch[:20] if item != batch[3]]
        )
        store.results.commit([Outcome(an_outcome(batch[3], Status.NONCOMPLIANT).result, (broken,))])
    assert store.deletion.rows(one.id).items == 40
    begun = store.deletion.begin(one)
    steps = list(store.deletion.steps(one.id))
    assert [step.items for step in steps] == [7, 7, 7, 7, 7, 5]
    assert (sum(step.results for step in steps), sum(step.violations for step in steps)) == (20, 1)
    assert begun.deleting
    assert [run.name for run in store.runs.all()] == ["two"]
    assert rows_of(database_url) == {
        "items": 40, "results": 20, "earlier_results": 0, "violations": 1, "run_counters": 5, "runs": 1
    }  # fmt: skip
    assert audit(store, two, None).holds
    assert store.results.wanted([Asked(one.id, one.key, ones[30].id)]) == [Want.NO], "known, and not wanted"
    assert store.results.wanted([Asked(one.id, "another", ones[30].id)]) == [Want.UNKNOWN]
    with pytest.raises(RunNotFound):
        store.deletion.begin(one)
    again, _ = a_stored_run(store, 1, "one")
    assert again.id > two.id, "no number is given twice"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_before_a_deletion_what_is_done_is_called_so_and_earlier_results_are_counted(
    store: Store, database_url: str
) -> None:
    run, batch = a_stored_run(store, 2, "r")
    store.results.commit([an_outcome(item) for item in batch])
    store.ledger.reopen(run.id, Choice(status=Status.OK))
    store.results.commit([Outcome(an_outcome(item).result, requeues=1) for item in batch])
    asked = CliRunner().invoke(app, ["delete", "r", "--database-url", database_url])
    assert "r is done, with 0 pending items" in asked.output
    assert "to be deleted: 2 items, 2 results, 2 earlier results\n" in asked.output
    rows = list(store.deletion.steps(store.deletion.begin(run).id))
    assert [(step.results, step.earlier) for step in rows] == [(2, 2)]


@pytest.mark.usefixtures("small_steps")
def test_late_answers_go_beside_those_of_other_runs_and_bring_nothing_back(store: Store, database_url: str) -> None:
    """Workers commit answers of two runs in common batches, from before the deletion of one until after it."""
    (one, ones), (two, twos) = (a_stored_run(store, 160, name) for name in ("one", "two"))

    def commit(start: int) -> set[int]:
        stored: set[int] = set()
        for at in range(start, 160, 8):
            both = [
                Outcome(an_outcome(item).result, (a_violation(item, Rung.FREE, ViolationKind.EMPTY),), requeues=0)
                for item in (ones[at], twos[at])
            ]
            stored |= store.results.commit(both)
        return stored

    def delete() -> None:
        store.deletion.begin(one)
        for _ in store.deletion.steps(one.id):
            pass

    with ThreadPoolExecutor(9, thread_name_prefix="test") as threads:
        committing = [threads.submit(commit, start) for start in range(4)]
        threads.submit(delete).result()
        committing += [threads.submit(commit, start) for start in range(4, 8)]
        stored = {item for future in committing for item in future.result()}
    assert {item.id for item in twos} <= stored
    assert store.queries.progress(two.id).ended[Status.OK] == 160
    assert audit(store, two, None).holds
    assert rows_of(database_url) == {
        "items": 160, "results": 160, "earlier_results": 0, "violations": 160, "run_counters": 2, "runs": 1
    }  # fmt: skip


def test_a_run_that_is_being_deleted_can_only_be_deleted(site: Site, tmp_path: Path, small_steps: None) -> None:  # noqa: ARG001
    data = write_images(tmp_path / "data", 20)
    with Client(site.settings) as client:
        run = client.submit(data)
        submitter = client.run("records")

        def stop(_items: int) -> None:
            raise _Interrupted

        with pytest.raises(_Interrupted):
            run.delete(on_step=stop)
        assert (waiting(site.settings), run.progress().submitted) == (0, 13)
        for refused in (
            lambda: client.submit(data),
            lambda: client.submit(data, tag="bob"),
            lambda: submitter.resume(),
            lambda: submitter.pause(),
            lambda: submitter.requeue("dead"),
            lambda: submitter.rename("another"),
        ):
            with pytest.raises(RunStopped, match="being deleted"):
                refused()
        with pytest.raises(RunConflict, match="somebody deleted it"):
            client.store.ledger.add([an_item(run.run.id, 99)], [])
        assert submitter.cancel() == 0
        assert submitter.set_priority(Priority.HIGH) == 0
        with pytest.raises(RunStopped, match="being deleted"):
            run.wait(timeout_seconds=10, display=quiet)
        (problem,) = run.audit().problems
        assert "is being deleted, 13 items are left: persqa delete records" in problem
        assert (client.run("records").contents().items, client.run("records").run.state) == (13, RunState.CANCELLED)
        assert client.run("records").delete().items == 13
        for gone in (run.progress, run.pause, run.resume, run.delete, lambda: run.rename("another")):
            with pytest.raises(RunNotFound, match="is gone: somebody deleted it"):
                gone()
        assert client.submit(data).progress().submitted == 20


def test_what_workers_have_in_hand_is_dropped_and_their_other_runs_go_on(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "slow")
    with Client(settings) as client:
        doomed = client.submit(write_images(tmp_path / "doomed", 40), run="doomed")
        kept = client.submit(write_images(tmp_path / "kept", 40), run="kept")
        publisher = Publisher(settings.broker_url or "", ledger=client.store.ledger.id, queue_bound=1000)
        late = next(client.store.ledger.pending(doomed.run.id))[:5]
        with closing(publisher), WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: held(settings) >= 60, describe="both runs are in hand")
            done = doomed.delete()
            assert done.items == 40
            # As a batch does that was on its way to Redis.
            publisher.push(QUEUE, publisher.entries(late, doomed.run, QUEUE))
            kept.wait(timeout_seconds=60, display=quiet)
            wait_until(lambda: waiting(settings) + held(settings) == 0, describe="all are answered or dropped")
            log = worker.text()
        assert counts(kept) == {"ok": 40}
        assert "ERROR" not in log, log
        assert client.store.dead_letters.counts() == {}
        assert [run.name for run in client.store.runs.all()] == ["kept"]
        check_empty(settings)


def test_a_deletion_that_is_killed_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"blob_store": str(tmp_path / "blobs")})
    client, kept = answer_all(settings, write_images(tmp_path / "kept", 10), tmp_path, run="kept")
    data = tmp_path / "faces.jsonl"
    data.write_text("".join(json.dumps({"image": uri(number)}) + "\n" for number in range(20)))
    code = (
        "import os, signal\nfrom persqa.store import deletion\nfrom producer.client import Client\n"
        "deletion._AT_ONCE = 5\nsteps = [0]\n"
        "def stop(_):\n"
        "    steps[0] += 1\n"
        "    if steps[0] == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Client().run('faces').delete(on_step=stop)\n"
    )
    with client:
        run = client.submit(data)
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **settings.environment()}, cwd=_ROOT, check=False
        )
        assert done.returncode == -signal.SIGKILL
        assert run.progress().submitted == 10
        where = ["--database-url", settings.database_url, "--broker-url", str(settings.broker_url)]
        ended = CliRunner().invoke(app, ["delete", "faces", "--yes", "--json", *where], catch_exceptions=False)
        assert (ended.exit_code, json.loads(ended.stdout)["items"]) == (0, 10)
        assert [found.name for found in client.runs()] == ["kept"]
        assert not list((tmp_path / "blobs").glob("??/??/*"))
        check_rows(kept, 10)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_it_is_said_what_goes_and_asked(site: Site, tmp_path: Path) -> None:
    where = ["--database-url", site.settings.database_url, "--broker-url", str(site.settings.broker_url)]
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 3))
        client.store.results.commit([an_outcome(next(client.store.ledger.pending(run.run.id))[0])])
    asked = CliRunner().invoke(app, ["delete", "records", *where])
    assert isinstance(asked.exception, SettingsError)
    assert "persqa delete records --yes" in str(asked.exception)
    for said in (
        "records is active, with 2 pending items",
        "to be deleted: 3 items, 1 result, 3 messages in the queue or with a worker",
    ):
        assert said in asked.stderr
    command = [sys.executable, "-m", "producer.cli", "delete", "records", *where]
    for answer, code in (("", 1), ("y", 0)):
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{answer}\n".encode())
            done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, cwd=_ROOT, check=False)
        finally:
            os.close(ours)
            os.close(theirs)
        assert (done.returncode, "delete it for good? [y/N]" in done.stderr) == (code, True), done.stderr
        assert ("nothing was deleted" in done.stderr) == bool(code)
    assert "records is deleted: 3 items, 1 result, 3 messages taken out of the queue" in done.stdout
    gone = CliRunner().invoke(app, ["delete", "records", *where])
    assert isinstance(gone.exception, RunNotFound)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_run_gets_another_name_and_the_old_one_is_free(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    where = ["--database-url", site.settings.database_url]
    with Client(site.settings) as client:
        run = client.submit(data)
        done = CliRunner().invoke(app, ["rename", "records", "first", *where], catch_exceptions=False)
        assert "records is now first; who submits its input again says: --run first" in done.stdout
        assert client.submit(data, run="first").run.id == run.run.id
        second = client.submit(data)
        assert (second.run.id != run.run.id, waiting(site.settings)) == (True, 6)
        with pytest.raises(RunConflict, match="another run is named 'first'"):
            second.rename("first")
        with pytest.raises(SettingsError, match="cannot name a run"):
            second.rename("no/name")
        with pytest.raises(SettingsError, match="the run is named 'records' already"):
            second.rename("records")
        second.rename("second")
        assert second.name == "second"
        with pytest.raises(RunNotFound):
            client.run("records")


def test_an_input_that_is_gone_does_not_matter(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 3))
        with pytest.raises(InputError, match="input of the run 'records'"):
            run.export(tmp_path / "data" / "records.jsonl", overwrite=True)
        (tmp_path / "data" / "records.jsonl").unlink()
        assert run.delete().items == 3
