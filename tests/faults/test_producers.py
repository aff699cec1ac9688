"""Producers come at the same time, and die half-way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from producer import Client
from tests.conftest import Site
from tests.faults.tools import finish, quick
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess


def test_the_same_run_submitted_three_times_at_once_has_one_row_for_each_item(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour")
    data = write_images(tmp_path / "data", 800)
    submitters = [_submit(settings.environment(), data) for _ in range(3)]
    with WorkerProcess(settings, tmp_path):
        for submitter in submitters:
            _out, said = submitter.communicate(timeout=60)
            assert submitter.returncode == 0, said
        with Client(settings) as client:
            run = client.run("records")
            finish(run)
            check_rows(run, 800)
        check_empty(settings)


def test_a_producer_killed_half_way_is_finished_by_the_next(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour")
    data = write_images(tmp_path / "data", 6000)
    first = _submit(settings.environment(), data)
    with Client(settings) as client:
        wait_until(lambda: [run for run in client.runs() if run.progress().submitted], describe="the ledger has some")
        first.kill()
        first.communicate()
        run = client.submit(data)
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        check_rows(run, 6000)


def _submit(environment: dict[str, str], data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "producer.cli", "submit", str(data)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
