"""What the queue has lost is enqueued again from the ledger, by one at a time, and not for ever."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, RECONCILED
from persqa.broker.publisher import Publisher
from persqa.broker.publishing import Publishing
from persqa.enqueueing import enqueue
from persqa.errors import BrokerUnavailable, RowRefused
from persqa.items import ItemId
from persqa.reasons import Reason
from persqa.reconciler import MOST_RECOVERIES, Reconciler
from persqa.results import Status
from persqa.runs import RunState
from persqa.settings import Settings
from persqa.store import Store
from persqa.store.ledger import Ledger
from persqa.store.results import Results
from producer import Client
from tests.conftest import Site
from tests.support.builders import a_letter, a_stored_run, write_images
from tests.support.servers import valkey_server
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@pytest.fixture(autouse=True)
def _short_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.reconciler._SECOND_LOOK_SECONDS", 0.05)


def lose(settings: Settings, *, but: int = 0) -> None:
    """Forget the queue but for its newest messages, and that somebody has looked."""
    with closing(connect(settings.broker_url or "")) as redis:
        redis.ltrim(QUEUE, 0, but - 1) if but else redis.delete(QUEUE)
    look_again(settings)


def look_again(settings: Settings) -> None:
    """Forget that somebody has looked."""
    with closing(connect(settings.broker_url or "")) as redis:
        redis.delete("none", *cast("list[bytes]", redis.keys(f"{RECONCILED}:*")))


def depth(settings: Settings) -> int:
    with closing(connect(settings.broker_url or "")) as redis:
        return redis.llen(QUEUE)


def finish(settings: Settings, folder: Path) -> None:
    """Let a worker do what is left."""
    quick = scripted(settings, "reads_colour").model_copy(update={"reconcile_seconds": 0.5})
    look_again(settings)
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
        reconciler.reconcile()
        with monkeypatch.context() as patched:
            patched.setattr(Publisher, "push", refuse)
            for _ in range(MOST_RECOVERIES + 2):
                lose(site.settings, but=1)
                with pytest.raises(BrokerUnavailable):
                    reconciler.reconcile()
        lose(site.settings, but=1)
        assert reconciler.reconcile() == 2
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


@pytest.mark.parametrize("letter", [False, True], ids=["silently", "with a letter"])
@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_an_item_that_is_lost_alone_again_and_again_ends_as_dead(site: Site, tmp_path: Path, letter: bool) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 3))
        reconciler = Reconciler(client.store, site.settings)
        assert reconciler.reconcile() == 0
        lost = [item.id for item in next(client.store.ledger.pending(run.run.id))[:2]]
        if letter:
            client.store.dead_letters.add(a_letter(lost[0], Reason.OVERSIZED_MESSAGE))
        for _ in range(MOST_RECOVERIES):
            lose(site.settings, but=1)
            assert reconciler.reconcile() == 2
            # The third one stays the newest.
            with closing(connect(site.settings.broker_url or "")) as redis:
                redis.lmove(QUEUE, QUEUE, "RIGHT", "LEFT")
        lose(site.settings, but=1)
        assert reconciler.reconcile() == 0
        assert run.progress().ended[Status.DEAD] == 2
        ended = {row.item_id: row.reason for row in run.results(status="dead")}
        assert ended == {lost[0]: "oversized_message" if letter else "lost", lost[1]: "lost"}
        # Asked for again, they begin anew.
        assert run.requeue(Status.DEAD).taken_back == 2
        lose(site.settings, but=1)
        assert reconciler.reconcile() == 2
    finish(site.settings, tmp_path)


@pytest.mark.parametrize("how", ["queue", "everything"])
def test_a_queue_that_is_gone_as_a_whole_blames_no_item(site: Site, tmp_path: Path, how: str) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 5))
        other = client.submit(write_images(tmp_path / "other", 2), run="other")
        reconciler = Reconciler(client.store, site.settings)
        reconciler.reconcile()
        for _ in range(2 * MOST_RECOVERIES):
            lose(site.settings)
            if how == "everything":
                with closing(connect(site.settings.broker_url or "")) as redis:
                    redis.flushall()
                # One run is enqueued again by its producer, a part of the other before the look.
                assert other.requeue("dead").taken_back == 0
                client.submit(tmp_path / "other" / "records.jsonl", run="other")
                with closing(
                    Publisher(site.settings.broker_url or "", ledger=client.store.ledger.id, queue_bound=9)
                ) as publisher:
                    first = next(client.store.ledger.pending(run.run.id))[:1]
                    publisher.push(QUEUE, publisher.entries(first, run.run, QUEUE))
            assert reconciler.reconcile() == (4 if how == "everything" else 7)
        assert (run.progress().pending, other.progress().pending) == (5, 2)
    finish(site.settings, tmp_path)


def test_only_the_runs_of_its_own_broker_are_looked_after(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client, valkey_server() as elsewhere:
        run = client.submit(write_images(tmp_path / "data", 20))
        other = site.settings.model_copy(update={"broker_url": elsewhere})
        for _ in range(MOST_RECOVERIES + 2):
            lose(other)
            assert Reconciler(client.store, other).reconcile() == 0
        assert depth(other) == 0
        assert run.audit().holds
        # A server that has lost everything is the same broker.
        with closing(connect(site.settings.broker_url or "")) as redis:
            redis.flushall()
        assert Reconciler(client.store, site.settings).reconcile() == 20
        # What is submitted there is looked after there, from now on.
        with Client(other) as there:
            assert there.submit(tmp_path / "data" / "records.jsonl").submission.enqueued == 20  # pyrefly: ignore[missing-attribute]
        lose(site.settings)
        assert Reconciler(client.store, site.settings).reconcile() == 0
        lose(other)
        assert Reconciler(client.store, other).reconcile() == 20
        # And back again.
        client.submit(tmp_path / "data" / "records.jsonl")


def test_what_a_killed_producer_has_left_is_enqueued(site: Site) -> None:
    broker = site.settings.broker_url or ""
    with closing(Store.open(site.settings.database_url)) as store:
        run, items = a_stored_run(store, 10)
        ledger = store.ledger.id
        with (
            closing(Publisher(broker, ledger=ledger, queue_bound=100)) as publisher,
            closing(Publishing(broker, ledger=ledger)) as publishing,
        ):
            publishing.goes_on(run.id)
            store.runs.begin_publishing(run, publisher.identity())
            enqueue(store, publisher, run, items[:4], on_full=lambda: None, up_to=items[3].id)
            assert Reconciler(store, site.settings).reconcile() == 0, "the producer is at work"
            lose(site.settings)
            assert Reconciler(store, site.settings).reconcile() == 4, "the rest is the producer's"
            # As time does some seconds after its end.
            publishing.ends(run.id)
            lose(site.settings, but=4)
            assert Reconciler(store, site.settings).reconcile() == 6
        assert depth(site.settings) == 10
        assert store.runs.reread(run).published_to == items[9].id
        assert store.ledger.recovered([item.id for item in items], times=1) == set(), "nothing of this was lost alone"


def test_messages_of_another_ledger_hide_nothing(site: Site, tmp_path: Path) -> None:
    """They have the same item ids."""
    other = site.settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/other.db"})
    data = write_images(tmp_path / "data", 6)
    with Client(site.settings) as client, Client(other) as theirs:
        client.submit(data)
        lose(site.settings)
        theirs.submit(data)
        assert Reconciler(client.store, site.settings).reconcile() == 6
        assert Reconciler(theirs.store, other).reconcile() == 0, "each looks for itself, and nothing is lost"
        assert depth(site.settings) == 12
        assert client.run("records").pause() == 6, "nobody withdraws what is another's"
        assert depth(site.settings) == 6


def test_a_look_reads_each_queue_once_however_many_runs_there_are(site: Site) -> None:
    broker = site.settings.broker_url or ""
    with (
        closing(Store.open(site.settings.database_url)) as store,
        closing(Publisher(broker, ledger=store.ledger.id, queue_bound=1000)) as publisher,
        closing(connect(broker)) as redis,
    ):
        for number in range(30):
            run, items = a_stored_run(store, 3, f"run-{number}")
            store.runs.begin_publishing(run, publisher.identity())
            enqueue(store, publisher, run, items, on_full=lambda: None, up_to=items[-1].id)
        before = calls(redis.info("commandstats"), "lrange")
        assert Reconciler(store, site.settings).reconcile() == 0
        assert calls(redis.info("commandstats"), "lrange") - before <= 8


def calls(statistics: object, command: str) -> int:
    found = cast("dict[str, dict[str, int]]", statistics).get(f"cmdstat_{command}")
    return found["calls"] if found else 0


def test_one_runs_trouble_keeps_no_other_from_being_looked_after(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(site.settings) as client:
        broken = client.submit(write_images(tmp_path / "broken", 3), run="broken").run
        client.submit(write_images(tmp_path / "data", 20), run="good")
        lose(site.settings)
        chosen = Ledger.chosen

        def refuse(ledger: Ledger, item_ids: Sequence[ItemId]) -> object:
            if item_ids[0] // 10**10 == broken.id:
                raise RowRefused("as patched")
            return chosen(ledger, item_ids)

        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "chosen", refuse)
            assert Reconciler(client.store, site.settings).reconcile() == 20
    finish(site.settings, tmp_path)


def test_a_reconciler_holds_no_more_than_there_is_room_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = site.settings.model_copy(update={"queue_bound": 50})
    looked_up: list[int] = []
    ended = Results.ended

    def count(results: Results, item_ids: Iterable[ItemId]) -> set[ItemId]:
        looked_up.append(len(known := list(item_ids)))
        return ended(results, known)

    with (
        closing(Store.open(settings.database_url)) as store,
        closing(Publishing(settings.broker_url or "", ledger="")) as broker,
    ):
        run, _ = a_stored_run(store, 5000)
        store.runs.begin_publishing(run, broker.identity())
        monkeypatch.setattr(Results, "ended", count)
        assert Reconciler(store, settings).reconcile() == 50
        assert looked_up == [50]
        store.runs.set_state(run, RunState.CANCELLED)
