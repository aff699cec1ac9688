"""Data as people have it, from the input to the export: other formats, and other names for the columns."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persqa.blobs import BlobStore, parse_blob_reference
from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.errors import RunConflict, SettingsError
from producer import Client
from tests.integration.test_run_command import environment
from tests.integration.test_worker import answer_all, counts
from tests.support.builders import answer_one, write_images
from tests.support.thousand import picture, thousand, write_shards
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site


def people(folder: Path, count: int) -> Path:
    """A table of images under names of its own, and one row without an image."""
    write_images(folder, count)
    table = folder / "people.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "photo", "image"])
        rows.writerows([f"k{index}", f"images/{index}.png", "not a path"] for index in range(count))
        rows.writerow(["broken", "", ""])
    return table


def test_a_run_that_names_its_columns_keeps_them(site: Site, tmp_path: Path) -> None:
    table = people(tmp_path / "data", 4)
    settings = scripted(site.settings, "reads_colour")
    client, run = answer_all(settings, table, tmp_path, image_column="photo", id_column="key")
    with client:
        rows = list(run.results())
        assert [(row.record_id, row.image) for row in rows[:4]] == [(f"k{n}", f"images/{n}.png") for n in range(4)]
        assert [row.answer for row in rows[:4]] == [f"<mam> is {number}-0-7" for number in range(4)]
        assert (rows[4].record_id, rows[4].reason) == ("broken", "bad_image_field")
        assert str(rows[4].detail).startswith("line 6 (id broken): expected a path or a list of paths, found null")
        run.export(tmp_path / "out.jsonl")
        first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
        assert list(first) == ["key", "photo", "image", "conversation", "output"]
        assert (first["key"], first["photo"], first["image"]) == ("k0", "data/images/0.png", "not a path")


def test_what_the_queue_has_lost_is_asked_again_with_the_images_of_the_named_column(site: Site, tmp_path: Path) -> None:
    table = people(tmp_path / "data", 4)
    settings = scripted(site.settings, "reads_colour")
    with Client(settings) as client:
        client.submit(table, image_column="photo")
        redis = connect(settings.broker_url or "")
        redis.delete(QUEUE)
        redis.close()
        run = client.submit(table, image_column="photo")
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=lambda _: None)
        assert counts(run) == {"ok": 4, "invalid": 1}


def test_other_columns_for_a_run_that_exists_are_refused(site: Site, tmp_path: Path) -> None:
    table = people(tmp_path / "data", 2)
    with Client(site.settings) as client:
        answer_one(client, client.submit(table, image_column="photo", id_column="key"))
        for options, named in (
            ({"image_column": "image", "id_column": "key"}, "image_column"),
            ({"image_column": "photo"}, "id_column"),
        ):
            with pytest.raises(RunConflict, match=f"differs in: .*{named}"):
                client.submit(table, **options)  # pyrefly: ignore[bad-argument-type]
        with pytest.raises(SettingsError, match="'tag' has a meaning of its own"):
            client.submit(table, image_column="tag")
        assert len(client.runs()) == 1


def test_violations_name_the_record_too(site: Site, tmp_path: Path) -> None:
    table = people(tmp_path / "data", 2)
    settings = scripted(site.settings, "never_the_tag")
    client, run = answer_all(settings, table, tmp_path, image_column="photo", id_column="key", tag_policy="check")
    with client:
        assert sorted(str(row.record_id) for row in run.violations()) == ["k0", "k1"]


def test_bytes_go_into_the_blob_store_and_a_reference_into_the_ledger(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"blob_store": str(tmp_path / "blobs")})
    table = pa.table({"image": [{"bytes": picture(index % 3), "path": f"{index}.png"} for index in range(6)]})
    pq.write_table(table, tmp_path / "six.parquet")
    with Client(settings) as client:
        inputs = [tmp_path / "six.parquet", write_shards(tmp_path, thousand()[:6])]
        for data in inputs:
            run = client.submit(data, run=f"run-{inputs.index(data)}")
            assert client.submit(data, run=run.name).run.id == run.run.id
            stored: list[bytes] = []
            for row in run.results():
                found = parse_blob_reference(row.image)
                assert found is not None
                assert row.record["image"] == row.image
                stored.append(BlobStore(settings.blob_store).get(found[0], max_bytes=10_000))
            kinds = 3 if data == inputs[0] else 6
            assert stored == [picture(index % kinds) for index in range(6)]
        assert len(list((tmp_path / "blobs").glob("??/??/*"))) == 6


def test_a_table_may_come_through_a_pipe_and_results_name_its_rows(tmp_path: Path) -> None:
    table = people(tmp_path / "data", 3).read_bytes()

    def persqa(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "producer.cli", *arguments],
            cwd=tmp_path / "data",
            env=environment(tmp_path, "reads_colour"),
            input=table,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    persqa("run", "-", "--format", "csv", "--image-column", "photo", "--id-column", "key")
    lines = [line.split() for line in persqa("results", "stdin").splitlines()]
    assert lines[0][:3] == ["item", "id", "image"]
    assert [line[1] for line in lines[1:5]] == ["k0", "k1", "k2", "broken"]
    rows = [json.loads(line) for line in persqa("results", "stdin", "--json").splitlines()]
    assert [row["record_id"] for row in rows] == ["k0", "k1", "k2", "broken"]
    assert [row["answer"] for row in rows[:3]] == [f"<mam> is {number}-0-7" for number in range(3)]
