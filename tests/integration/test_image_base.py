"""A data set whose image paths start elsewhere, and references of every spelling, through a whole run."""

from __future__ import annotations

import csv
import json
import unicodedata
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.errors import InputError, RunConflict
from producer import Client
from producer.cli import app
from tests.integration.test_worker import answer_all
from tests.support.builders import answer_one, colour_of
from tests.support.referring import picture
from tests.support.workers import scripted

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from tests.conftest import Site

NAME = "größe.png"


def llava(folder: Path) -> tuple[Path, Path]:
    """Annotations, and beside their folder one of images, which their paths start at."""
    store, notes = folder / "store", folder / "notes"
    (store / "coco").mkdir(parents=True)
    notes.mkdir()
    for index in range(3):
        (store / "coco" / f"{index}.png").write_bytes(picture(index))
    (store / unicodedata.normalize("NFD", NAME)).write_bytes(picture(3))
    images: list[JsonValue] = [
        "coco/0.png",
        {"bytes": None, "path": "coco/1.png"},
        "coco\\2.png",
        NAME,
        b64encode(picture(4, side=300)).decode(),
        {"bytes": b64encode(picture(5)).decode(), "path": "elsewhere/5.png"},
    ]
    records = [
        {"image": image, "id": index, "tag": "outdoor, 1girl", "who": "anna"} for index, image in enumerate(images)
    ]
    data = notes / "llava.json"
    data.write_text(json.dumps(records))
    return data, store


def test_paths_start_at_the_base_in_workers_and_in_exports(site: Site, tmp_path: Path) -> None:
    data, store = llava(tmp_path)
    settings = scripted(site.settings, "reads_colour").model_copy(
        update={"blob_store": str(tmp_path / "blobs"), "image_roots": []}
    )
    client, run = answer_all(settings, data, tmp_path, image_base=store, tag_column="")
    with client:
        assert run.run.base == str(store)
        rows = list(run.results())
        assert [row.answer for row in rows] == ["<mam> is {}-{}-{}".format(*colour_of(index)) for index in range(6)]
        assert all(len(row.image) < 100 for row in rows)
        records = json.loads(data.read_text())
        run.export(tmp_path / "out.jsonl", paths="relative")
        exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert exported[0]["image"] == "store/coco/0.png"
        assert exported[1]["image"] == {"bytes": None, "path": "store/coco/1.png"}
        assert [row["image"] for row in exported[4:]] == [row["image"] for row in records[4:]]
        assert [row["tag"] for row in exported] == ["outdoor, 1girl"] * 6
        (tmp_path / "copied").mkdir()
        run.export(tmp_path / "copied" / "out.jsonl", paths="copy")
        for line in (tmp_path / "copied" / "out.jsonl").read_text().splitlines()[:4]:
            record = json.loads(line)
            path: str = record["image"]["path"] if isinstance(record["image"], dict) else record["image"]
            assert (tmp_path / "copied" / path).read_bytes() == picture(record["id"])


def test_the_base_is_the_place_of_the_run(site: Site, tmp_path: Path) -> None:
    data, store = llava(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with Client(site.settings) as client:
        answer_one(client, client.submit(data, image_base=store, tag_column=""))
        arguments = ["submit", str(data), "--image-base", f"{store}/coco/..", "--tag-column", ""]
        where = ["--broker-url", site.settings.broker_url or "", "--database-url", site.settings.database_url]
        again = CliRunner().invoke(app, [*arguments, *where])
        assert (again.exit_code, "6 items, 1 has a result" in again.output) == (0, True), again.output
        for base in (other, None):
            with pytest.raises(RunConflict, match=r"its image paths start at .*store and not at .*image_base"):
                client.submit(data, image_base=base, tag_column="")
        with pytest.raises(RunConflict, match=r"differs in: .*tag_column"):
            client.submit(data, image_base=store, tag_column="who")
        for wrong in (tmp_path / "none", data):
            with pytest.raises(InputError, match="image_base: no such folder"):
                client.submit(data, image_base=wrong, run="wrong")
        assert [run.name for run in client.runs()] == ["llava"]


def test_base64_in_a_table_is_a_picture_and_never_printed(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"blob_store": str(tmp_path / "blobs")})
    large = b64encode(picture(1) + bytes(600_000)).decode()
    with (tmp_path / "kit.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerows([["index", "image"], [1, b64encode(picture(0)).decode()], [2, large]])
        rows.writerows([[3, repr([large, large])], [4, b64encode(b"no picture" * 90).decode()]])
    with Client(settings) as client:
        run = client.submit(tmp_path / "kit.tsv")
        assert run.submission is not None
        assert (run.submission.enqueued, run.submission.invalid) == (3, 1)
        assert [(row.status, row.reason) for row in run.results()] == [("pending", None)] * 3 + [
            ("invalid", "bad_path")
        ]
    for arguments in (["results", "kit"], ["results", "kit", "--status", "invalid"], ["audit", "kit"]):
        printed = CliRunner().invoke(app, [*arguments, "--database-url", settings.database_url])
        assert 0 < len(printed.output) < 4000, printed.output[:1000]


def test_a_column_of_tags_that_no_record_has_is_refused(tmp_path: Path) -> None:
    data, _ = llava(tmp_path)
    database = f"sqlite:///{tmp_path}/persqa.db"
    with Client(database_url=database, local_worker=False) as client:
        with pytest.raises(InputError, match=r"no record of .* has a field 'names'"):
            client.submit(data, tag_column="names")
        with pytest.raises(InputError, match="if `tag` has no tags, tag_column names another field, or none as ''"):
            client.submit(data, strict=True)
        assert client.runs() == []
