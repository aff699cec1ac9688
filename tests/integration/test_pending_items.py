"""Nothing pending is invisible: whatever is done to runs, in any order, a look finds what no queue and no hand has."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from persqa.broker.connection import connect
from persqa.broker.keys import places_for
from persqa.broker.leases import Leases
from persqa.broker.publisher import Publisher
from persqa.errors import KeyTaken, RunConflict, RunStopped
from persqa.messages import ItemMessage
from persqa.reconciler import Reconciler
from persqa.results import Outcome, Result, Status
from persqa.runs import Priority, RunState
from persqa.store import Want
from producer import Client
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    import redis

    from persqa.settings import Settings
    from producer import RunHandle
    from tests.conftest import Site, Size


class _Killed(BaseException):
    """The producer is killed here."""


class Work(RuleBasedStateMachine):
    """Producers, operators, one worker by hand, and a server that forgets, on one ledger and one broker."""

    site: Settings
    folder: Path
    runs = Bundle("runs")
    open_runs = Bundle("open_runs")

    def __init__(self) -> None:
        super().__init__()
        database = with_tables(self.folder / f"{len(list(self.folder.iterdir()))}.db")
        self.settings = self.site.model_copy(update={"database_url": database})
        self.client = Client(self.settings)
        self.elsewhere = Client(self.settings.model_copy(update={"broker_url": None}), local_worker=False)
        self.redis: redis.Redis = connect(self.settings.broker_url or "")
        self.redis.flushall()
        self.leases = Leases(self.settings.broker_url or "", worker="hand:1", seconds=3600)
        self.inputs: dict[str, list[dict[str, str]]] = {}
        #: The pictures of what was added to each open run, by key.
        self.added: dict[str, dict[str, str]] = {}
        self.closed: set[str] = set()
        #: What the worker holds, and whether it will answer.
        self.hand: list[tuple[str, ItemMessage, bool]] = []
        self.lost_alone = 0

    @rule(target=runs, items=st.integers(1, 7), batches=st.integers(0, 4))
    def submit(self, items: int, batches: int) -> str:
        """Submit a run, and be killed after some batches."""
        name = f"run-{len(self.inputs)}"
        self.inputs[name] = [{"image": f"{at}.png"} for at in range(items)]
        self._submit(name, batches)
        return name

    @rule(name=runs, batches=st.integers(0, 4))
    def submit_again(self, name: str, batches: int) -> None:
        self._submit(name, batches)

    def _submit(self, name: str, batches: int) -> None:
        with killed_after(batches), suppress(_Killed, RunStopped):
            self.client.submit(self.inputs[name], run=name)

    @rule(target=open_runs)
    def open(self) -> str:
        name = f"open-{len(self.added)}"
        self.client.open_run(name, key="id")
        self.added[name] = {}
        return name

    @rule(
        name=open_runs,
        records=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 1)), min_size=1, max_size=6),
        replace=st.booleans(),
        batches=st.integers(0, 1),
    )
    def add(self, name: str, records: list[tuple[str, int]], replace: bool, batches: int) -> None:
        """Add records, some of which are there, or are others of their key; and perhaps be killed before the queue."""
        there = dict(self.added[name])
        for key, version in records:
            if key not in there or replace:
                there[key] = f"{key}-{version}.png"
        given = [{"id": key, "image": f"{key}-{version}.png"} for key, version in records]
        try:
            with killed_after(batches), suppress(_Killed, KeyTaken):
                self.client.open_run(name).add_many(given, replace=replace)
        except RunStopped:
            return
        except RunConflict:
            assert name in self.closed
            return
        assert name not in self.closed or there == self.added[name]
        self.added[name] = there

    @rule(name=open_runs)
    def close(self, name: str) -> None:
        self.client.open_run(name).close()
        self.closed.add(name)

    @rule(
        name=st.one_of(runs, open_runs),
        state=st.sampled_from([RunState.ACTIVE, RunState.PAUSED, RunState.CANCELLED]),
        known=st.booleans(),
    )
    def change_state(self, name: str, state: RunState, known: bool) -> None:
        """Pause, cancel or resume it, also where no broker is known."""
        run = (self.client if known else self.elsewhere).run(name)
        with suppress(RunStopped):
            match state:
                case RunState.ACTIVE:
                    run.resume()
                case RunState.PAUSED:
                    run.pause()
                case RunState.CANCELLED:
                    run.cancel()
                case _:
                    raise AssertionError

    @rule(name=st.one_of(runs, open_runs), priority=st.sampled_from(Priority))
    def change_priority(self, name: str, priority: Priority) -> None:
        self.client.run(name).set_priority(priority)

    @rule(number=st.integers(1, 5))
    def take(self, number: int) -> None:
        """The worker takes messages and looks up whether they are wanted."""
        for claimed in self.leases.claim(places_for(self.client.store.ledger.id, None), number):
            message = ItemMessage.model_validate(json.loads(_body(claimed.text))[0][0])
            (want,) = self.client.store.results.wanted([message.asked])
            assert want is not Want.UNKNOWN
            self.hand.append((claimed.tag, message, want is Want.YES))

    @rule(number=st.integers(1, 5))
    def finish(self, number: int) -> None:
        """The worker answers or drops some of what it has."""
        done, self.hand = self.hand[:number], self.hand[number:]
        self.client.store.results.commit([_answer(message) for _, message, wanted in done if wanted])
        self.leases.settle([tag for tag, _, _ in done])

    @rule(everything=st.booleans())
    def forget(self, everything: bool) -> None:
        """The server forgets."""
        if everything:
            self.redis.flushall()
        else:
            self.redis.delete(*places_for(self.client.store.ledger.id, None))

    @rule(place=st.sampled_from(places_for("", None)[:3]))
    def lose_one(self, place: str) -> None:
        self.lost_alone += self.redis.rpop(place) is not None

    @rule()
    def look(self) -> None:
        """Look for what is lost, after the last look and the last killed producer are forgotten."""
        expired = [key for prefix in ("reconciled", "publishing") for key in _keys(self.redis, f"persqa:{prefix}:*")]
        if expired:
            self.redis.delete(*expired)
        Reconciler(self.client.store, self.settings).reconcile()

    def teardown(self) -> None:
        """A look finds all that is missing; and in the end each item has one answer."""
        try:
            self.finish(len(self.hand))
            self.look()
            for run in self.client.runs():
                if run.run.broker is not None:
                    assert run.audit().holds, run.audit().problems
            self._answer_all()
            for run in self.client.runs():
                self._check(run)
        finally:
            for opened in (self.client, self.elsewhere, self.redis, self.leases):
                opened.close()

    def _answer_all(self) -> None:
        for name in self.inputs:
            self.client.run(name).resume()
            self._submit(name, 100)
        for name in self.added:
            self.client.run(name).resume()
        while any(run.progress().pending for run in self.client.runs()):
            self.take(100)
            if not self.hand:
                # The only message of an item was of a record that another one has replaced meanwhile.
                self.look()
                self.take(100)
            assert self.hand, "pending, and nothing waits"
            self.finish(100)

    def _check(self, run: RunHandle) -> None:
        assert run.audit().holds, run.audit().problems
        answers = {row.answer for row in run.results(status="ok")}
        given = self.inputs.get(run.name)
        pictures = self.added[run.name].values() if given is None else [one["image"] for one in given]
        assert answers <= {f"{run.run.id}-{picture}" for picture in pictures}
        if self.lost_alone <= 5:
            assert len(answers) == len(pictures)


@contextmanager
def killed_after(batches: int) -> Generator[None]:
    """A producer that is killed when it has put so many batches into the queue."""
    left = iter(range(batches))
    push = Publisher.push

    def push_or_die(publisher: Publisher, queue: str, entries: Sequence[str]) -> object:
        if next(left, None) is None:
            raise _Killed
        return push(publisher, queue, entries)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Publisher, "push", push_or_die)
        yield


def _body(text: str) -> str:
    from base64 import b64decode

    return b64decode(json.loads(text)["body"]).decode()


def _answer(message: ItemMessage) -> Outcome:
    result = Result(
        item_id=message.item, run_id=message.run, status=Status.OK, answer=f"{message.run}-{message.images[0]}"
    )
    return Outcome(result, requeues=message.requeues)


def _keys(client: redis.Redis, pattern: str) -> Iterator[bytes]:
    return iter(cast("list[bytes]", client.keys(pattern)))


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_whatever_happens_in_whatever_order_nothing_pending_is_invisible(
    site: Site, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persqa.reconciler._SECOND_LOOK_SECONDS", 0.0)
    monkeypatch.setattr("persqa.enqueueing.BATCH", 2)
    monkeypatch.setattr(Work, "site", site.settings, raising=False)
    monkeypatch.setattr(Work, "folder", tmp_path, raising=False)
    run_state_machine_as_test(
        Work,
        settings=settings(
            max_examples=size(16, 100),
            stateful_step_count=20,
            deadline=None,
            # To find a shorter case would take longer than to read a long one.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
