"""What is asked wrongly in Python is told at once, with the choices, and changes nothing."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.errors import RunConflict, SettingsError
from persqa.results import Outcome, Result, Status
from producer import Client, RunHandle
from producer.cli import app
from tests.support.builders import answer_one, write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.conftest import Site

pytestmark = pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)


@pytest.fixture
def run(site: Site, tmp_path: Path) -> Generator[RunHandle]:
    """Four items that were answered well, and whose messages are gone."""
    with Client(site.settings) as client:
        handle = client.submit(write_images(tmp_path / "data", 4))
        items = next(client.store.ledger.pending(handle.run.id))
        good = (Result(item_id=item.id, run_id=item.run_id, status=Status.OK, answer="<mam> sits.") for item in items)
        client.store.results.commit([Outcome(result) for result in good])
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.delete(QUEUE)
        yield handle


def test_all_good_results_are_not_taken_back_by_mistake_however_their_status_is_written(run: RunHandle) -> None:
    for status in ("ok", Status.OK):
        with pytest.raises(SettingsError, match=r"every good answer .*question or items, or say sure=True"):
            run.requeue(status)
    for status in ("okk", "pending", ""):
        with pytest.raises(SettingsError, match="there is no status"):
            run.requeue(status)
    with pytest.raises(SettingsError, match=r"status.*items"):
        run.requeue()
    assert run.progress().ended[Status.OK] == 4
    assert run.requeue("dead").taken_back == 0


def test_a_wrong_word_is_refused_when_it_is_said(run: RunHandle) -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (
            lambda: run.results(status="okk"),
            "no status 'okk'; did you mean ok\\? There are ok, noncompliant, invalid, dead and pending",
        ),
        (lambda: run.export("out.json", only="okk"), "there is no status 'okk'; did you mean ok"),
        (lambda: run.export("out.json", chat=True, only=""), "only is empty"),
        (lambda: run.violations(kind="late"), "there is no violation kind 'late'; .*late_tag"),
        (lambda: run.set_priority("urgent"), "there is no priority 'urgent'; choose high, normal or low"),
    ]
    for ask, choices in refused:
        with pytest.raises(SettingsError, match=choices):
            ask()
    assert not Path("out.json").exists()


def test_the_command_line_says_the_same(run: RunHandle, site: Site) -> None:
    for command, choices in (
        (("results", run.name, "--status", "good"), "there is no status 'good'; choose ok, .*pending"),
        (("export", run.name, "out.json", "--only", "good"), "there is no status 'good'; choose ok, .*pending"),
        (("requeue", run.name, "--status", "ok"), "every good answer"),
        (("requeue", run.name, "--item", "7"), "has no item 7; its items: persqa results records"),
        (("results", run.name, "--item", "7"), "has no item 7; its items: persqa results records"),
        (("priority", run.name, "urgent"), "choose high, normal or low"),
    ):
        with pytest.raises(SettingsError, match=choices):
            CliRunner().invoke(app, [*command, "--database-url", site.settings.database_url], catch_exceptions=False)


def test_a_status_may_be_a_word_or_the_status_itself(run: RunHandle) -> None:
    assert len(list(run.results(status="ok"))) == len(list(run.results(status=Status.OK))) == 4
    assert list(run.results(status="pending")) == list(run.results(status=Status.DEAD)) == []
    assert run.export("out.json", only="ok") == 4
    assert run.export("none.json", only="pending") == 0


def records_of(run: RunHandle) -> list[int]:
    return [int(str(row.record["id"])) for row in run.results()]


def test_a_part_of_an_input_is_what_the_run_is(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "many.jsonl"
    data.write_text("".join(json.dumps({"image": "a.png", "id": number}) + "\n" for number in range(30)))
    with Client(site.settings) as client:
        first, again = client.submit(data, limit=10), client.submit(data, limit=10)
        assert records_of(first) == list(range(10))
        assert again.submission is not None
        assert (again.run.id, again.submission.enqueued) == (first.run.id, 0)
        answer_one(client, first)
        for other in ({"limit": 11}, {"limit": None}, {"sample": 10}):
            with pytest.raises(RunConflict, match=r"the run 'many' exists and differs in: the data, .*limit"):
                client.submit(data, limit=other.get("limit"), sample=other.get("sample"))
        drawn = [client.submit(data, run=f"sample-{seed}", sample=10, seed=seed) for seed in (1, 2)]
        ids = [records_of(run) for run in drawn]
        assert [len(set(found)) for found in ids] == [10, 10]
        assert (ids[0] != ids[1], ids[0]) == (True, sorted(ids[0]))
        same = client.submit(data, run="sample-1", sample=10, seed=1)
        assert (same.run.id, records_of(same)) == (drawn[0].run.id, ids[0])
        assert records_of(client.submit(data, run="all", sample=31)) == list(range(30))
        with pytest.raises(SettingsError, match="limit and sample do not go together"):
            client.submit(data, run="both", limit=1, sample=1)
        assert "both" not in {run.name for run in client.runs()}


def test_a_limit_ends_records_of_a_program_that_never_end(site: Site) -> None:
    with Client(site.settings) as client:
        endless = ({"image": "a.png", "id": number} for number in count())
        assert records_of(client.submit(endless, run="endless", limit=3)) == [0, 1, 2]
        assert next(endless)["id"] == 3


def test_a_part_of_what_comes_through_a_pipe(site: Site) -> None:
    lines = "".join(json.dumps({"image": "a.png", "id": number}) + "\n" for number in range(30))
    where = ("--broker-url", str(site.settings.broker_url), "--database-url", site.settings.database_url)
    for part, name in (("--limit", "first"), ("--sample", "drawn")):
        done = CliRunner().invoke(app, ["submit", "-", part, "4", "--run", name, "--json", *where], input=lines)
        assert json.loads(done.stdout) == {"run": name, "records": 4, "enqueued": 4, "invalid": 0, "passed_over": []}
    with Client(site.settings) as client:
        assert records_of(client.run("first")) == [0, 1, 2, 3]
        assert len(set(records_of(client.run("drawn")))) == 4
