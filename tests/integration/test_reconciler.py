"""What the queue has lost is enqueued again from the ledger, by one at a time, and not for ever."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, RECONCILED
from persqa.broker.publisher import Publisher
from persqa.errors import BrokerUnavailable
from persqa.reconciler import MOST_RECOVERIES, Reconciler
from persqa.results import Status
from persqa.settings import Settings
from producer import Client
from tests.conftest import Site
from tests.support.builders import write_images
from tests.support.workers import WorkerProcess, scripted


def lose(settings: Settings) -> None:
    """Forget the queue, and that somebody has looked."""
    with closing(connect(settings.broker_url or "")) as redis:
        redis.delete(QUEUE, f"{RECONCILED}:0")


def depth(settings: Settings) -> int:
    with closing(connect(settings.broker_url or "")) as redis:
        return redis.llen(QUEUE)


def finish(settings: Settings, folder: Path) -> None:
    """Let a worker do what is left."""
    quick = scripted(settings, "reads_colour").model_copy(update={"reconcile_seconds": 0.5})
    with Client(settings) as client, WorkerProcess(quick, folder):
        for run in client.runs():
            run.wait(timeout_seconds=60, display=lambda _progress: None)


def test_what_is_lost_is_enqueued_again_once(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        client.submit(write_images(tmp_path / "data", 30))
        reconciler = Reconciler(client.store, site.settings)
        assert reconciler.reconcile() == 0, "nothing is lost yet"
        lose(site.settings)
        assert reconciler.reconcile() == 30
        assert reconciler.reconcile() == 0, "somebody has just looked"
        assert depth(site.settings) == 30
    finish(site.settings, tmp_path)


def test_a_full_queue_is_not_waited_for(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"queue_bound": 100, "reconcile_seconds": 2})
    with Client(settings) as client:
        client.submit(write_images(tmp_path / "first", 30), run="first")
        lose(settings)
        client.submit(write_images(tmp_path / "second", 95), run="second")
        assert Reconciler(client.store, settings).reconcile() == 5
        assert depth(settings) == 100
    finish(settings, tmp_path)


def test_what_could_not_be_enqueued_was_not_lost_once_more(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BrokerUnavailable("it is full, as patched")

    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 3))
        reconciler = Reconciler(client.store, site.settings)
        with monkeypatch.context() as patched:
            patched.setattr(Publisher, "push", refuse)
            for _ in range(MOST_RECOVERIES + 2):
                lose(site.settings)
                with pytest.raises(BrokerUnavailable):
                    reconciler.reconcile()
        lose(site.settings)
        assert reconciler.reconcile() == 3
        assert run.progress().pending == 3
    finish(site.settings, tmp_path)


def test_a_look_can_be_broken_off(site: Site, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    settings = site.settings.model_copy(update={"reconcile_seconds": 1.0})
    with Client(settings) as client:
        client.submit(write_images(tmp_path / "data", 30))
        lose(settings)
        assert Reconciler(client.store, settings, stop=stop).reconcile() == 0
    finish(site.settings, tmp_path)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_an_item_that_is_lost_again_and_again_ends_as_dead(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2))
        for _ in range(MOST_RECOVERIES):
            lose(site.settings)
            assert Reconciler(client.store, site.settings).reconcile() == 2
        lose(site.settings)
        assert Reconciler(client.store, site.settings).reconcile() == 0
        assert run.progress().ended[Status.DEAD] == 2
        assert {row.reason for row in run.results()} == {"lost"}
        # Asked for again, they begin anew.
        lose(site.settings)
        assert run.requeue(Status.DEAD) == 2
        lose(site.settings)
        assert Reconciler(client.store, site.settings).reconcile() == 2
    finish(site.settings, tmp_path)
