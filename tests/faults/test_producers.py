"""Producers come at the same time, and die half-way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from producer import Client
from tests.conftest import Site
from tests.faults.tools import finish, quick
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows, runs_of
from tests.support.programs import Program
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from persqa.settings import Settings


def test_the_same_run_submitted_three_times_at_once_has_one_row_for_each_item(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour")
    data = write_images(tmp_path / "data", 500)
    submitters = [_submit(settings, data, tmp_path / f"submitter-{number}") for number in range(3)]
    with WorkerProcess(settings, tmp_path):
        for submitter in submitters:
            assert submitter.wait(60) == 0
        with Client(settings) as client:
            run = client.run("records")
            finish(run)
            check_rows(run, 500)
        check_empty(settings)


def test_a_producer_killed_half_way_is_finished_by_the_next(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour")
    data = write_images(tmp_path / "data", 3000)
    first = _submit(settings, data, tmp_path / "submitter")
    with Client(settings) as client:
        wait_until(lambda: [run for run in runs_of(client) if run.progress().submitted], describe="the ledger has some")
        first.kill()
        first.wait()
        run = client.submit(data)
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 3000)


def _submit(settings: Settings, data: Path, log: Path) -> Program:
    environment = {**os.environ, **settings.environment()}
    with log.open("wb") as file:
        return Program(
            ["producer.cli", "submit", str(data)], env=environment, cwd=data.parent, stdout=file, stderr=file
        )
