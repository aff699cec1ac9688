"""A run is paused or given another priority while it is being submitted."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.publisher import Publisher
from persqa.errors import RunStopped, SettingsError
from persqa.runs import Priority
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.queues import HIGH, many_records, waiting
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.settings import Settings
    from tests.conftest import Site


@contextmanager
def submit_beside(settings: Settings, data: Path) -> Generator[tuple[Future[None], threading.Event]]:
    """A submit in another thread that has come to a full queue; and what is set again and again while it waits."""
    full = threading.Event()

    def submit() -> None:
        with Client(settings) as client:
            client.submit(data, on_full=full.set)

    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        submitting = threads.submit(submit)
        assert full.wait(30)
        yield submitting, full


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_submit_under_way_ends_when_its_run_is_paused_and_fills_no_queue(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant").model_copy(update={"queue_bound": 1000})
    data = many_records(tmp_path / "data", 3000)
    with Client(settings) as client, submit_beside(settings, data) as (submitting, _full):
        run = client.run("many")
        assert run.pause() == 1000
        with pytest.raises(RunStopped, match="is paused; to take it up again: persqa resume many"):
            submitting.result(30)
        assert waiting(settings) == 0
        assert run.audit().holds
        with WorkerProcess(settings, tmp_path):
            assert run.resume() == 3000
            run.wait(timeout_seconds=60, display=quiet)
        assert counts(run) == {"ok": 3000}


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_submit_under_way_goes_on_in_another_queue(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant").model_copy(update={"queue_bound": 1000})
    data = many_records(tmp_path / "data", 2000)
    with Client(settings) as client, submit_beside(settings, data) as (submitting, full):
        run = client.run("many")
        assert run.set_priority("high") == 1000
        full.clear()
        # The other queue has room until the first thousand are there.
        wait_until(lambda: full.is_set() or submitting.done(), describe="it goes on in the other queue")
        assert waiting(settings) == 0
        assert waiting(settings, HIGH) in (1000, 2000)
        with WorkerProcess(settings, tmp_path):
            submitting.result(60)
            run.wait(timeout_seconds=60, display=quiet)
        # Given again, a priority is changed; not given, it stays.
        assert client.submit(data).run.priority is Priority.HIGH
        assert client.submit(data, priority="low").run.priority is Priority.LOW
        with pytest.raises(SettingsError, match="there is no priority 'urgent'; choose high, normal or low"):
            client.submit(data, priority="urgent")


def test_room_that_a_change_of_priority_makes_is_not_taken(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site.settings.model_copy(update={"queue_bound": 1000})
    has_room = Publisher.has_room
    moved: list[int] = []

    def move_then_look(publisher: Publisher, queue: str, number: int) -> bool:
        if not moved and not has_room(publisher, queue, number):
            moved.append(client.run("many").set_priority("high"))
        return has_room(publisher, queue, number)

    monkeypatch.setattr(Publisher, "has_room", move_then_look)
    with Client(settings) as client:
        with pytest.raises(_Enough):
            client.submit(many_records(tmp_path / "data", 2000), on_full=_enough)
        assert (moved, waiting(settings), waiting(settings, HIGH)) == ([1000], 0, 1000)


class _Enough(Exception):
    pass


def _enough() -> None:
    raise _Enough
