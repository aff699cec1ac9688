"""What ended how is counted in several places, and all of them say the same, also of records that are equal."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.pairs import PENDING
from persqa.results import Status
from producer import Client
from tests.integration.test_exporter import exporter
from tests.support.builders import write_images
from tests.support.pages import samples
from tests.support.programs import run_program
from tests.support.referring import quiet
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.settings import Settings
    from producer import RunHandle
    from tests.conftest import Site

_ROOT = Path(__file__).parents[2]
_STATUSES = [*Status, PENDING]


def test_all_that_count_agree(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "by_number")
    data = write_images(tmp_path / "data", 14)
    with data.open("a") as file:
        file.writelines(json.dumps({"image": image}) + "\n" for image in ("images/none.png", ["a"] * 9, 7))
    with Client(settings) as client, exporter(settings, tmp_path) as port:
        run = client.submit(data, run="counted", tag_policy="check")
        assert _counted(client, run, port) == _counts(pending=15, invalid=2)
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
            ended = _counts(ok=6, noncompliant=4, invalid=6, dead=1)
            assert _counted(client, run, port) == ended
        # What is asked again is pending again, and whatever was counted of it is not counted twice.
        assert run.requeue(Status.DEAD).taken_back + run.requeue(Status.NONCOMPLIANT).taken_back == 5
        assert _counted(client, run, port) == _counts(ok=6, invalid=6, pending=5)
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        assert _counted(client, run, port) == ended


def test_equal_records_and_equal_ids_are_items_of_their_own(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    write_images(tmp_path / "data", 3)
    # Equal in all, equal in the column of ids only, and equal but for the id.
    records = [
        {"key": key, "photo": f"images/{image}.png"}
        for key, image in [("a", 0), ("a", 0), ("a", 1), ("b", 0), ("a", 0)]
    ]
    data = tmp_path / "data" / "equal.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records))
    with Client(settings) as client, exporter(settings, tmp_path) as port:
        run = client.submit(data, run="equal", image_column="photo", id_column="key", questions_per_image=2)
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        rows = list(run.results())
        assert len({row.item_id for row in rows}) == len(rows) == 10
        expected = [(record["key"], f"<mam> is {record['photo'][7]}-0-7") for record in records for _ in range(2)]
        assert [(row.record_id, row.answer) for row in rows] == expected
        # Equal records are asked the same, so that the order of an input changes nothing.
        assert [row.question for row in rows[:2]] == [row.question for row in rows[2:4]]
        assert len({row.question for row in rows[:2]}) == 2
        assert _counted(client, run, port) == _counts(ok=10)
        # The same again adds nothing.
        assert (
            client.submit(data, run="equal", image_column="photo", id_column="key", questions_per_image=2)
            .progress()
            .submitted
            == 10
        )
        run.export(tmp_path / "out.jsonl")
        exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [(one["key"], one["output"]) for one in exported] == expected


def _counts(**numbers: int) -> dict[str, int]:
    return {status: numbers.get(status, 0) for status in _STATUSES}


def _counted(client: Client, run: RunHandle, port: int) -> dict[str, int]:
    """How many items have which status, once everybody has said the same."""
    audit = run.audit()
    assert audit.holds, audit.problems
    rows = audit.census.rows
    counted = _counts(**rows.ended, pending=rows.pending)
    assert _of_status(run.name, client.settings) == counted
    # It looks once in a second at most.
    wait_until(lambda: _of_exporter(run.name, port) == counted, describe=f"the exporter says {counted}", seconds=10)
    assert _of_views(run.name, client) == (counted, counted)
    assert _counts(**Counter(row.status for row in run.results())) == counted
    assert {status: len(list(run.results(status=status))) for status in _STATUSES} == counted
    return counted


def _of_status(run: str, settings: Settings) -> dict[str, int]:
    environment = {**os.environ, **settings.environment()}
    said = json.loads(run_program("producer.cli", "status", run, "--json", cwd=_ROOT, env=environment).stdout)
    (facts,) = said["runs"]
    assert facts["submitted"] == sum(facts[status] for status in _STATUSES)
    return {status: facts[status] for status in _STATUSES}


def _of_exporter(run: str, port: int) -> dict[str, int]:
    seen = samples(port)
    return {status: int(seen[f'persqa_run_items{{run="{run}",status="{status}"}}']) for status in _STATUSES}


def _of_views(run: str, client: Client) -> tuple[dict[str, int], dict[str, int]]:
    engine = sa.create_engine(client.settings.database_url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            progress = sa.text("SELECT ok, noncompliant, invalid, dead, pending FROM run_progress WHERE run = :run")
            pairs = sa.text("SELECT status, COUNT(*) AS items FROM pairs WHERE run = :run GROUP BY status")
            summed = connection.execute(progress, {"run": run}).mappings().one()
            return {status: summed[status] for status in _STATUSES}, _counts(
                **{row.status: row.items for row in connection.execute(pairs, {"run": run})}
            )
    finally:
        engine.dispose()
