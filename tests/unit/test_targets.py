"""What an export may be written to: nothing that somebody would miss."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from persqa.errors import InputError
from producer.exporters.drafts import draft_file, draft_folder
from producer.readers import input_path
from producer.targets import check_target


def check(target: Path, *inputs: Path | str, overwrite: bool = False, blobs: Path | None = None) -> None:
    check_target(target, overwrite=overwrite, inputs={"faces": [str(one) for one in inputs]}, blob_folder=blobs)


def refused(words: str, target: Path, *inputs: Path | str, overwrite: bool = True, blobs: Path | None = None) -> None:
    with pytest.raises(InputError, match=words):
        check(target, *inputs, overwrite=overwrite, blobs=blobs)


def test_what_exists_is_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    check(out)
    out.write_text("dear")
    refused(r"out.json exists: overwrite=True replaces it", out, overwrite=False)
    check(out, overwrite=True)
    dangling = tmp_path / "link.json"
    dangling.symlink_to("nowhere")
    refused("exists: overwrite=True", dangling, overwrite=False)
    (tmp_path / "empty").mkdir()
    check(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused("exists: overwrite=True", tmp_path / "full", overwrite=False)


def test_an_input_is_never_replaced_however_its_name_is_written(tmp_path: Path) -> None:
    data = tmp_path / "data" / "faces.jsonl"
    data.parent.mkdir()
    data.write_text("{}")
    (tmp_path / "soft.jsonl").symlink_to(data)
    os.link(data, tmp_path / "hard.jsonl")
    (tmp_path / "folder").symlink_to(data.parent)
    spellings = [
        data,
        tmp_path / "soft.jsonl",
        tmp_path / "hard.jsonl",
        tmp_path / "folder" / "faces.jsonl",
        tmp_path / "data" / ".." / "data" / "faces.jsonl",
        Path(os.path.relpath(data)),
    ]
    for target in spellings:
        for given in (data, tmp_path / "soft.jsonl", tmp_path / "data" / "*.jsonl"):
            refused("input of the run 'faces'", target, given)
    # A data set may be written over another one, and not over the folder that the data is in.
    refused("input of the run 'faces'", data.parent, data)
    refused("input of the run 'faces'", tmp_path, data)
    other = tmp_path / "data" / "other.jsonl"
    other.touch()
    check(other, data, tmp_path / "gone.jsonl", "/nowhere/*.jsonl", overwrite=True)


def test_a_data_set_that_was_read_is_an_input_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("state.json", "dataset_info.json", "data-00000.arrow"):
        (folder / name).touch()
    for target in (folder, folder / "state.json", folder / "data-00000.arrow", tmp_path):
        refused("input of the run 'faces'", target, folder)
    check(folder / "new.json", folder)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "pairs.json").touch()
    check(photos / "pairs.json", photos, overwrite=True)
    refused("input of the run 'faces'", photos, photos)


def test_a_file_behind_standard_input_is_known(tmp_path: Path) -> None:
    data = tmp_path / "faces.jsonl"
    data.touch()
    before = os.dup(0)
    try:
        with data.open() as file:
            os.dup2(file.fileno(), 0)
            assert input_path("-") == str(data)
        with Path("/dev/null").open() as nothing:
            os.dup2(nothing.fileno(), 0)
            assert input_path("-") is None
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert input_path([{"image": "a.png"}]) is input_path("hf://org/name") is None
    assert input_path("a/../*.jsonl") == f"{Path.cwd()}/*.jsonl"


@pytest.mark.parametrize("name", ["me.jpg", "me.PNG", "me.webp"])
def test_an_image_is_never_replaced(tmp_path: Path, name: str) -> None:
    check(tmp_path / name)
    (tmp_path / name).touch()
    refused("is an image", tmp_path / name)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_database_and_its_companions_are_never_replaced_not_even_those_to_come(tmp_path: Path, suffix: str) -> None:
    with closing(sqlite3.connect(tmp_path / "persqa.db")) as database:
        database.execute("create table t (a)")
    (tmp_path / "other").symlink_to(tmp_path)
    (tmp_path / f"alias{suffix}").symlink_to(f"persqa.db{suffix}")
    for target in (f"persqa.db{suffix}", f"other/persqa.db{suffix}", f"alias{suffix}"):
        refused("is the database .* or belongs to it", tmp_path / target)
    check(tmp_path / f"new.db{suffix}")


def test_what_is_persqas_own_is_never_replaced(tmp_path: Path) -> None:
    refused("log of a worker", tmp_path / "persqa-worker.log")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for name in ("ab/cd/out.json", ".ledgers/out.json", "."):
        refused("part of the blob store", blobs / name, blobs=blobs)
    refused("part of the blob store", tmp_path, blobs=blobs)
    # Somebody may keep both in one folder.
    check(blobs / "out.json", blobs=blobs)
    check(tmp_path / "out.json", blobs=blobs)


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", Path("/dev/null")):
        refused("neither a file nor a folder", target)


def test_what_appears_while_an_export_is_written_is_not_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(name: str, *, meanwhile: str) -> None:
        with draft_file(tmp_path / name, overwrite=False) as new:
            new.write_text("new")
            if meanwhile:
                (tmp_path / name).write_text(meanwhile)

    def write_folder() -> None:
        with draft_folder(tmp_path / "pairs", overwrite=False) as new:
            (new / "state.json").touch()
            (tmp_path / "pairs").mkdir()
            (tmp_path / "pairs" / "dear").touch()

    def no_second_names(*_: object) -> None:
        raise PermissionError(1, "not permitted")

    for suffix in ("linked", "renamed"):
        with pytest.raises(InputError, match="exists: overwrite=True"):
            write(f"theirs.{suffix}", meanwhile="dear")
        write(f"ours.{suffix}", meanwhile="")
        monkeypatch.setattr(Path, "hardlink_to", no_second_names)
    with pytest.raises(InputError, match="exists: overwrite=True"):
        write_folder()
    found = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert found == {"theirs.linked": "dear", "ours.linked": "new", "theirs.renamed": "dear", "ours.renamed": "new"}
    assert [path.name for path in (tmp_path / "pairs").iterdir()] == ["dear"]
