"""A column that an input lacks as a whole is found before anything is written, whatever the format."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persqa.errors import InputError, SettingsError
from persqa.settings import load_settings
from producer import Client
from tests.support.oracle import runs_of

ROWS: list[dict[str, str]] = [{"key": str(number), "photo": f"{number}.png", "caption": "x"} for number in range(3)]


def jsonl(folder: Path) -> str:
    (folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return "people.jsonl"


def array(folder: Path) -> str:
    (folder / "people.json").write_text(json.dumps(ROWS))
    return "people.json"


def table(folder: Path, name: str = "people.csv", separator: str = ",") -> str:
    lines = [list(ROWS[0]), *([row[name] for name in ROWS[0]] for row in ROWS)]
    (folder / name).write_text("".join(separator.join(line) + "\n" for line in lines))
    return name


def tabs(folder: Path) -> str:
    return table(folder, "people.tsv", "\t")


def parquet(folder: Path) -> str:
    pq.write_table(pa.Table.from_pylist([{**row, "photo": b"bytes"} for row in ROWS]), folder / "people.parquet")
    return "people.parquet"


def shards(folder: Path) -> str:
    table(folder, "part-1.csv")
    table(folder, "part-2.csv")
    return "part-*.csv"


def hugging_face(folder: Path) -> str:
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "people")
    return "people"


def tar(folder: Path) -> str:
    with tarfile.open(folder / "people.tar", "w") as archive:
        for row in ROWS:
            content = json.dumps(row).encode()
            member = tarfile.TarInfo(f"{row['key']}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "people.tar"


FORMATS = (jsonl, array, table, tabs, parquet, shards, hugging_face, tar)


def refusal(data: Any, folder: Path, **options: Any) -> str:
    """What is said of a submit, of which nothing may be in the database or the blob store."""
    settings = load_settings(database_url=f"sqlite:///{folder}/x.db", blob_store=str(folder / "blobs"))
    with Client(settings) as client:
        with pytest.raises(InputError) as caught:
            client.submit(data, **options)
        assert runs_of(client) == []
    return str(caught.value)


@pytest.mark.parametrize("make", FORMATS)
def test_an_image_column_that_no_record_has_is_refused_with_those_that_there_are(make: Any, tmp_path: Path) -> None:
    given = make(tmp_path)
    said = refusal(given, tmp_path, image_column="foto")
    assert "'foto'; " in said
    assert "key, photo, caption" in said
    assert said.endswith("did you mean image_column photo?")
    assert not (tmp_path / "blobs").exists(), "no byte is stored for a name that was mistyped"
    assert "'image'; " in refusal(given, tmp_path)


@pytest.mark.parametrize("make", FORMATS)
def test_so_is_an_id_column(make: Any, tmp_path: Path) -> None:
    said = refusal(make(tmp_path), tmp_path, image_column="photo", id_column="nope")
    assert "'nope'; " in said
    assert said.endswith("choose one of them with id_column")


def test_standard_input_and_records_in_memory_are_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal(iter(ROWS), tmp_path)
    assert said.startswith("no record of the data has a field 'image'; they have key, photo, caption")
    with (tmp_path / table(tmp_path)).open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        said = refusal("-", tmp_path, input_format="csv")
    assert said.startswith("standard input has no column 'image'; it has key, photo, caption")


def test_a_folder_of_images_has_no_ids(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    assert "has no column 'name'" in refusal("photos", tmp_path, id_column="name")


def test_where_some_records_have_the_field_the_others_are_wrong(tmp_path: Path) -> None:
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/x.db", broker_url="redis://127.0.0.1:1/0")
    rows = [*ROWS, {"image": 5, "id": "5"}, {}]
    with Client(settings) as client:
        run = client.submit(rows, id_column="id")
        assert run.progress().submitted == len(rows)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_input_without_a_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "people.jsonl").write_text(content)
    (tmp_path / "header.csv").write_text("image,id\n")
    beside = "; passed over: 2 blank lines (line 1)" if content else ""
    assert refusal("people.jsonl", tmp_path) == f"people.jsonl has no record{beside}"
    assert refusal("header.csv", tmp_path) == "header.csv has no record"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nodir/", "no such folder: nodir/"),
        ("nodir", "no such file or folder: nodir"),
        ("none.csv", "no such file: none.csv"),
        ("none.xml", "no such file: none.xml"),
        ("deep/none.jsonl", "no such file: deep/none.jsonl"),
        ("none*.csv", "no file matches none*.csv"),
    ],
)
def test_what_is_not_there_is_called_what_was_meant(tmp_path: Path, path: str, said: str) -> None:
    assert refusal(path, tmp_path) == said


def test_a_name_that_cannot_be_a_runs_says_how_to_give_another(tmp_path: Path) -> None:
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/x.db")
    (tmp_path / "my photos").mkdir()
    (tmp_path / "my photos" / "a.png").touch()
    with Client(settings) as client, pytest.raises(SettingsError, match=r"'my photos' cannot .* with run"):
        client.submit("my photos")
