"""`persqa status` with many runs: it asks the database and Redis no more often than with few."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.results import Status
from persqa.runs import Priority
from producer.cli import status
from tests.support.builders import a_stored_run, an_outcome
from tests.support.queues import HIGH

if TYPE_CHECKING:
    from collections.abc import Generator

    from persqa.store import Store

_RUNS = 60
#: For all runs together; connections and the question to workers are part of it.
_MOST_STATEMENTS, _MOST_COMMANDS, _MOST_CONNECTIONS = 25, 100, 8


class _Counts:
    """What was asked while it was open."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self.statements = 0
        self.commands, self.connections = 0, 0

    def __enter__(self) -> _Counts:
        event.listen(sa.Engine, "before_cursor_execute", self._note)
        self.commands, self.connections = self._told()
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(sa.Engine, "before_cursor_execute", self._note)
        commands, connections = self._told()
        self.commands, self.connections = commands - self.commands, connections - self.connections

    def _note(self, *_: object) -> None:
        self.statements += 1

    def _told(self) -> tuple[int, int]:
        with closing(connect(self._broker)) as redis:
            told = cast("dict[str, int]", redis.info("stats"))
        return told["total_commands_processed"], told["total_connections_received"]


@pytest.fixture
def runs(store: Store) -> list[str]:
    """Every other one is done, one is half done, and one goes before the others."""
    for number in range(_RUNS):
        run, batch = a_stored_run(store, 2, f"run-{number}")
        store.results.commit([an_outcome(item) for item in batch[: 2 * (number % 2)]])
        if number == 0:
            store.results.commit([an_outcome(batch[0], Status.DEAD)])
        if number == 2:
            store.runs.set_priority(run, Priority.HIGH)
    return [f"run-{number}" for number in reversed(range(_RUNS))]


@pytest.fixture
def queues(broker_url: str) -> Generator[None]:
    """Three messages wait, and one before them."""
    with closing(connect(broker_url)) as redis:
        redis.lpush(QUEUE, *"abc")
        redis.lpush(HIGH, "d")
        yield


@pytest.mark.usefixtures("queues")
@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_many_runs_take_no_more_questions_than_few(
    runs: list[str], database_url: str, broker_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(name: str | None = None) -> dict[str, Any]:
        status.command(name, as_json=True, broker_url=broker_url, database_url=database_url)
        return json.loads(capsys.readouterr().out)

    with _Counts(broker_url) as counts:
        all_of_them = told()
    assert counts.statements <= _MOST_STATEMENTS
    assert counts.commands <= _MOST_COMMANDS
    assert counts.connections <= _MOST_CONNECTIONS
    assert [run["run"] for run in all_of_them["runs"]] == runs
    found = {run["run"]: run for run in all_of_them["runs"]}
    half, done, high = (found[f"run-{number}"] for number in range(3))
    assert (half["ok"], half["dead"], half["pending"]) == (0, 1, 1)
    assert half["items_per_second"] > 0
    assert half["seconds_left"] is not None
    assert (done["ok"], done["pending"], done["items_per_second"]) == (2, 0, None)
    assert (high["pending"], high["priority"], high["items_per_second"]) == (2, "high", None)
    assert (half["state"], done["state"]) == ("active", "done")
    assert all_of_them["held"] == 0
    for run in (done, high):
        assert told(run["run"])["runs"] == [run], "one alone is described as among the others"


def test_of_very_many_runs_the_table_shows_those_that_are_not_done_and_the_newest(
    store: Store, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_MOST_SHOWN", 3)
    for number in range(6):
        _run, batch = a_stored_run(store, 1, f"run-{number}")
        store.results.commit([an_outcome(item) for item in batch if number != 1])
    status.command(None, database_url=database_url)
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.startswith("run-")] == ["run-5", "run-4", "run-1"]
    assert "3 more runs; --json tells of all" in said
