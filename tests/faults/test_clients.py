"""Clients: two wait for one run, and one is cancelling when everything dies."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.runs import RunState
from producer import Client
from tests.conftest import Site, Size
from tests.faults.tools import LEASE_SECONDS, finish, quick, wait_progress
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.programs import Program, run_program
from tests.support.queues import many_records, waiting
from tests.support.wait import spend, wait_until
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from persqa.settings import Settings


def _program(settings: Settings, folder: Path, *arguments: str) -> Program:
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        environment = {**os.environ, **settings.environment()}
        return Program(["producer.cli", *arguments], env=environment, cwd=folder, stdout=log, stderr=log)


def test_two_clients_that_wait_for_a_run_of_three_workers_see_every_item_once(
    site: Site, tmp_path: Path, size: Size
) -> None:
    items = size(300, 3000)
    settings = quick(site, "reads_colour", window=16).model_copy(update={"image_roots": [tmp_path]})
    data = write_images(tmp_path / "data", items)
    with ExitStack() as stack:
        for number in range(3):
            (folder := tmp_path / f"worker-{number}").mkdir()
            stack.enter_context(WorkerProcess(settings, folder))
        waiting_clients = [_program(settings, tmp_path, "submit", str(data), "--wait") for _ in range(2)]
        assert [client.wait(120) for client in waiting_clients] == [0, 0]
        for _ in range(2):
            with Client(settings) as client:
                run = client.run("records")
                ids = [row.item_id for row in run.results()]
                assert len(ids) == len(set(ids)) == items
                check_rows(run, items)
        check_empty(settings)


def test_a_cancel_in_which_redis_and_the_worker_die_can_be_repeated_and_taken_back(
    site: Site, tmp_path: Path, size: Size
) -> None:
    items = size(1500, 40_000)
    settings = quick(site, "reads_colour", window=64)
    with Client(settings) as client:
        run = client.submit(many_records(tmp_path / "data", items))
        with WorkerProcess(settings, tmp_path) as worker:
            wait_progress(run)
            cancel = _program(settings, tmp_path, "cancel", "many")
            wait_until(lambda: run.progress().state is RunState.CANCELLED, describe="it is cancelled in the ledger")
            site.broker.kill()
            worker.process.kill()
            worker.process.wait()
            # It was done, or says that Redis is away.
            assert cancel.wait(60) in (0, 3)
        site.broker.start()
        environment = {**os.environ, **settings.environment()}
        again = run_program("producer.cli", "cancel", "many", env=environment, cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert waiting(settings) == 0
        assert run.audit().holds
        ended = items - run.progress().pending
        with WorkerProcess(settings, tmp_path) as worker:
            worker.wait_ready()
            # What the dead worker held comes back, and is dropped.
            spend(2 * LEASE_SECONDS)
            check_empty(settings)
            assert items - run.progress().pending == ended, "a cancelled run is not begun"
            assert run.resume() == items - ended
            finish(run, seconds=size(120, 600))
        check_rows(run, items)
        check_empty(settings)
