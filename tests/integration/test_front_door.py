"""What is asked wrongly in Python is told at once, with the choices, and changes nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.errors import SettingsError
from persqa.results import Outcome, Result, Status
from producer import Client, RunHandle
from producer.cli import app
from tests.support.builders import write_images

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


def test_good_results_cannot_be_taken_back_however_their_status_is_written(run: RunHandle) -> None:
    for status in ("ok", Status.OK, "okk", "pending", ""):
        with pytest.raises(SettingsError, match="choose noncompliant, invalid, dead"):
            run.requeue(status)
    assert run.progress().ended[Status.OK] == 4
    assert run.requeue("dead") == 0


def test_a_wrong_word_is_refused_when_it_is_said(run: RunHandle) -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: run.results(status="okk"), "'okk' is no status: choose ok, noncompliant, invalid, dead, pending"),
        (lambda: run.export("out.json", only="okk"), "'okk' is no status: choose ok, noncompliant"),
        (lambda: run.export("out.json", chat=True, only=""), "'' is no status: choose ok"),
        (lambda: run.violations(kind="late"), "'late' is no violation kind: choose empty, .*late_tag"),
        (lambda: run.set_priority("urgent"), "'urgent' is no priority: choose high, normal, low"),
    ]
    for ask, choices in refused:
        with pytest.raises(SettingsError, match=choices):
            ask()
    assert not Path("out.json").exists()


def test_the_command_line_says_the_same(run: RunHandle, site: Site) -> None:
    for command, choices in (
        (("results", run.name, "--status", "good"), "'good' is no status: choose ok, .*pending"),
        (("export", run.name, "out.json", "--only", "good"), "'good' is no status: choose ok, .*pending"),
        (("requeue", run.name, "--status", "ok"), "choose noncompliant, invalid, dead"),
        (("priority", run.name, "urgent"), "choose high, normal, low"),
    ):
        with pytest.raises(SettingsError, match=choices):
            CliRunner().invoke(app, [*command, "--database-url", site.settings.database_url], catch_exceptions=False)


def test_a_status_may_be_a_word_or_the_status_itself(run: RunHandle) -> None:
    assert len(list(run.results(status="ok"))) == len(list(run.results(status=Status.OK))) == 4
    assert list(run.results(status="pending")) == list(run.results(status=Status.DEAD)) == []
    assert run.export("out.json", only="ok") == 4
    assert run.export("none.json", only="pending") == 0
