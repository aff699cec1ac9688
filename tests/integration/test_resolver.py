"""What becomes of one item: said by a value, in a lane that is kept until the outcome is committed."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.leases import SUSPECT_DELIVERIES, Leases
from persqa.errors import Infrastructure
from persqa.messages import ItemMessage, item_messages
from persqa.reasons import Reason
from persqa.results import Status
from persqa.settings import load_settings
from tests.support import scripts
from tests.support.builders import LEDGER, a_stored_run, an_outcome, write_images
from tests.support.scripted_engine import Line, ScriptedEngine
from worker.answerer import Answerer
from worker.deliveries import Delivery
from worker.engines.supervisor import Supervisor
from worker.intake import Intake
from worker.leases.keeper import Consumer, LeaseKeeper
from worker.trials.resolver import Ended, Resolver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from persqa.items import Item
    from persqa.runs import Run
    from persqa.store import Store
    from tests.support.scripted_engine import Script
    from worker.engines.engine import Engine

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.parametrize("broker_url", ["valkey"], indirect=True),
]


@pytest.fixture
def keeper(broker_url: str) -> LeaseKeeper:
    return LeaseKeeper(Leases(broker_url, worker="w", seconds=30), lease_seconds=30)


@asynccontextmanager
async def resolving(store: Store, folder: Path, script: Script) -> AsyncGenerator[Resolver]:
    """A resolver with all its real parts but the engine."""
    write_images(folder / "data", 3)
    settings = load_settings(image_roots=[folder])
    make: partial[Engine] = partial(ScriptedEngine, settings, script)
    engine = Supervisor(make, settings)
    intake = Intake(store, settings, resolution=None, stop=threading.Event())
    await engine.start()
    try:
        yield Resolver(intake, Answerer(engine, worker="w"), engine)
    finally:
        intake.close()
        await engine.stop()


def delivered(keeper: LeaseKeeper, *, count: int = 1, seconds: float | None = None) -> Delivery:
    return Delivery(
        tag=str(count),
        task_id="1",
        arguments=(),
        count=count,
        history=("host:1", "host:2"),
        seconds=seconds,
        keeper=keeper,
        on_success=lambda _result: None,
        on_timeout=lambda _soft, _seconds: None,
    )


def message_of(item: Item, run: Run, folder: Path) -> ItemMessage:
    (content,) = item_messages([item], run, ledger=LEDGER)
    base = str(folder / "data")
    return ItemMessage.model_validate_json(content).model_copy(update={"base": base, "images": ["images/1.png"]})


def takes_long(request: object) -> Line:
    """Answers long after any time limit of these tests."""
    assert request
    return Line(text="", seconds=60)


def has_a_defect(_request: object) -> Line:
    raise KeyError("nobody thought of this")


def resolve(store: Store, keeper: LeaseKeeper, folder: Path, script: Script, **facts: float) -> Ended | None:
    """Resolve the first item of a run of two; the second one has a result."""
    run, (item, ended) = a_stored_run(store, 2)
    store.results.commit([an_outcome(ended)])
    wanted = ended if facts.pop("ended", 0) else item
    delivery = delivered(keeper, count=int(facts.pop("count", 1)), seconds=facts.pop("seconds", None))

    async def main() -> Ended | None:
        message = message_of(wanted, run, folder)
        async with (
            resolving(store, folder, script) as resolver,
            resolver.resolve(message, delivery) as resolved,
        ):
            return resolved

    return asyncio.run(main())


def test_an_item_with_a_result_is_unwanted(store: Store, keeper: LeaseKeeper, tmp_path: Path) -> None:
    assert resolve(store, keeper, tmp_path, has_a_defect, ended=1) is None


@pytest.mark.parametrize(
    ("script", "facts", "status", "reason", "timed_out"),
    [
        (scripts.compliant, {}, Status.OK, None, False),
        (takes_long, {"seconds": 0.2}, Status.DEAD, Reason.TIME_LIMIT, True),
        (has_a_defect, {"seconds": 60}, Status.DEAD, Reason.INTERNAL_ERROR, False),
        (has_a_defect, {"count": 6}, Status.DEAD, Reason.KILLS_WORKERS, False),
    ],
)
def test_the_value_says_how_an_item_ended(  # noqa: PLR0913 - columns of the table
    store: Store,
    keeper: LeaseKeeper,
    tmp_path: Path,
    script: Script,
    facts: dict[str, float],
    status: Status,
    reason: Reason | None,
    timed_out: bool,
) -> None:
    resolved = resolve(store, keeper, tmp_path, script, **facts)
    assert isinstance(resolved, Ended)
    assert (resolved.outcome.result.status, resolved.outcome.result.reason) == (status, reason)
    assert resolved.timed_out is timed_out


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
def test_what_this_machine_lacks_ends_no_item(
    store: Store, keeper: LeaseKeeper, tmp_path: Path, error: Exception
) -> None:
    def fails(_request: object) -> Line:
        raise error

    with pytest.raises(Infrastructure, match="this machine"):
        resolve(store, keeper, tmp_path, fails)


def test_a_suspect_is_not_begun_before_the_outcome_of_the_one_before_is_committed(
    store: Store, keeper: LeaseKeeper, tmp_path: Path
) -> None:
    run, items = a_stored_run(store, 2)
    order: list[str] = []

    async def go(resolver: Resolver, item: Item) -> None:
        delivery = delivered(keeper, count=SUSPECT_DELIVERIES)
        async with resolver.resolve(message_of(item, run, tmp_path), delivery):
            order.append("resolved")
            # As a commit does, this lets all others go on for a while.
            await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.2)
            order.append("committed")

    async def main() -> None:
        async with resolving(store, tmp_path, scripts.compliant) as resolver:
            await asyncio.gather(*(go(resolver, item) for item in items))

    keeper.attach(Consumer(queues=["none"], room=lambda: 0, deliver=lambda _claimed: None))
    try:
        asyncio.run(main())
    finally:
        keeper.close()
    assert order == ["resolved", "committed"] * 2
