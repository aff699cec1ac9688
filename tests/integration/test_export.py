"""Everything that `persqa export` writes, of a run that was answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from persqa.blobs import BlobStore, blob_reference
from persqa.errors import InputError
from producer import Client
from producer.cli import app
from tests.integration.test_worker import answer_all
from tests.support.builders import colour_of, write_images
from tests.support.workers import scripted

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from tests.conftest import Site


def export(site: Site, *arguments: str) -> str:
    found = CliRunner().invoke(app, ["export", "records", *arguments, "--database-url", site.settings.database_url])
    assert found.exit_code == 0, found.output
    return found.output


def colour(index: int) -> str:
    return "-".join(str(part) for part in colour_of(index))


def test_every_format_has_the_same_pairs_in_the_inputs_order(site: Site, tmp_path: Path) -> None:
    import datasets

    data = write_images(tmp_path / "data", 30)
    with data.open("a") as file:
        file.write('{"image": "images/none.png", "id": 30}\nnot json\n')
    client, _ = answer_all(scripted(site.settings, "reads_colour"), data, tmp_path, tag_policy="prefill")
    client.close()
    names = ("out.json", "out.jsonl", "out.jsonl.gz", "out.csv.zst", "out.parquet")
    for name in names:
        assert "32 rows written" in export(site, str(tmp_path / name), "--output-key", "pers_qa")
    report = json.loads(export(site, str(tmp_path / "pairs"), "--format", "hf", "--output-key", "pers_qa", "--json"))
    assert report == {"run": "records", "file": str(tmp_path / "pairs"), "rows": 32}
    expected = [f"<mam> is {colour(index)}" for index in range(30)] + [None, None]
    loaded: Any = datasets.load_from_disk(str(tmp_path / "pairs"))
    table: Any = pq.read_table(tmp_path / "out.parquet")
    array = json.loads((tmp_path / "out.json").read_text())
    assert loaded["pers_qa"][:] == table["pers_qa"].to_pylist() == [record["pers_qa"] for record in array] == expected
    assert array[31] == {"record": "not json", "pers_qa": None}
    assert "only" not in export(site, str(tmp_path / "ok.jsonl"), "--only", "ok", "--with-meta")
    kept = [json.loads(line) for line in (tmp_path / "ok.jsonl").read_text().splitlines()]
    assert [record["id"] for record in kept] == list(range(30))
    assert {record["persqa"]["verdict"] for record in kept} == {"compliant"}
    assert {record["persqa"]["forced"] for record in kept} == {True}


def test_dialogues_have_all_questions_of_a_record_and_no_answer_that_broke_the_rule(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 20)
    client, run = answer_all(
        scripted(site.settings, "second_try"), data, tmp_path, questions_per_image=3, tag_policy="check"
    )
    with client:
        rows = list(run.results())
    good: dict[int, list[PairRow]] = {row.position: [] for row in rows}
    for row in rows:
        if row.status == "ok":
            good[row.position].append(row)
    export(site, str(tmp_path / "chat.json"), "--chat", "--with-meta")
    dialogues = json.loads((tmp_path / "chat.json").read_text())
    assert [int(dialogue["id"]) for dialogue in dialogues] == [position for position, found in good.items() if found]
    for dialogue in dialogues:
        found = good[int(dialogue["id"])]
        turns = dialogue["conversations"]
        assert dialogue["image"] == f"data/{found[0].record['image']}"
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * len(found)
        asked = [row.question for row in found]
        assert [turn["value"] for turn in turns[::2]] == [f"<image>\n{asked[0]}", *asked[1:]]
        assert [turn["value"] for turn in turns[1::2]] == [row.answer for row in found]
        assert [meta["status"] for meta in dialogue["persqa"]] == ["ok"] * len(found)
    export(site, str(tmp_path / "bad.json"), "--chat", "--only", "noncompliant")
    bad = json.loads((tmp_path / "bad.json").read_text())
    pairs = sum(len(dialogue["conversations"]) for found in (dialogues, bad) for dialogue in found)
    assert pairs == 2 * 60


def test_images_that_came_as_bytes_leave_as_bytes(site: Site, tmp_path: Path) -> None:
    import datasets

    write_images(tmp_path / "data", 2)
    settings = site.settings.model_copy(update={"blob_store": str(tmp_path / "blobs")})
    blobs = BlobStore(settings.blob_store)
    pictures = [(tmp_path / "data" / "images" / f"{index}.png").read_bytes() for index in range(2)]
    records = [{"image": blob_reference(blobs.put(data), f"{index}.png")} for index, data in enumerate(pictures)]
    with Client(settings) as client:
        run = client.submit(records, run="bytes")
        run.export(tmp_path / "out.parquet")
        run.export(tmp_path / "pairs", file_format="hf")
    table: Any = pq.read_table(tmp_path / "out.parquet")
    cells = [{"bytes": data, "path": f"{index}.png"} for index, data in enumerate(pictures)]
    assert table["image"].to_pylist() == cells
    loaded: Any = datasets.load_from_disk(str(tmp_path / "pairs"))
    assert [image.getpixel((0, 0)) for image in loaded["image"]] == [colour_of(0), colour_of(1)]


def test_an_export_that_cannot_be_written_says_so(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit([{"image": "a.png"}], run="records")
        with pytest.raises(InputError, match="there is no folder"):
            run.export(tmp_path / "nowhere" / "out.json")
        with pytest.raises(InputError, match="name it: json"):
            run.export(tmp_path / "out")
        with pytest.raises(InputError, match="there is no format 'xml'; choose json"):
            run.export(tmp_path / "out.json", file_format="xml")
        with pytest.raises(InputError, match="has a field 'image' itself"):
            run.export(tmp_path / "out.json", output_key="image")
    assert not list(tmp_path.glob("*out*"))


def test_an_export_destroys_nothing_of_the_users(site: Site, tmp_path: Path) -> None:
    data, pool = write_images(tmp_path / "data", 3), tmp_path / "questions.txt"
    pool.write_text("Where is {tag}?\n")
    database = tmp_path / "persqa.db"
    sqlite = site.settings.database_url.startswith("sqlite")
    with Client(site.settings) as client:
        client.submit(data, run="faces")
        run = client.submit(data, pool=str(pool))
        kept = [data, pool, tmp_path / "data" / "images" / "0.png", *([database] if sqlite else [])]
        for dear, overwrite in ((dear, overwrite) for dear in kept for overwrite in (False, True)):
            before = dear.read_bytes() if dear != database else b""
            with pytest.raises(InputError, match="name another file"):
                run.export(dear, file_format="jsonl", overwrite=overwrite)
            assert dear == database or dear.read_bytes() == before
        # Nor does the run of another input.
        assert client.run("faces").export(tmp_path / "out.jsonl") == 3
    refused = CliRunner().invoke(
        app, ["export", "records", str(tmp_path / "out.jsonl"), "--database-url", site.settings.database_url]
    )
    assert "overwrite" in str(refused.exception)
    assert "3 rows written" in export(site, str(tmp_path / "out.jsonl"), "--only", "pending", "--overwrite")
