"""Pictures as input: what is found in a folder or by a pattern, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import JsonValue

from persqa.errors import InputError
from persqa.records import Columns
from tests.support.reading import opened, values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a/z.JPG", "a/b/c.webp", "notes.txt", ".hidden.png", ".cache/x.png", "a-b.gif", "a.bmp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def paths(reader: object) -> list[JsonValue]:
    return [record["image"] for record in values(reader) if isinstance(record, dict)]  # pyright: ignore[reportArgumentType]


def test_a_folder_gives_every_image_below_it_by_its_relative_path(folder: Path) -> None:
    reader = opened(folder)
    assert paths(reader) == ["a-b.gif", "a.bmp", "a/b/c.webp", "a/z.JPG", "b.png"]
    assert (reader.name, reader.base) == ("photos", folder)
    assert [raw.place for raw in reader][:2] == ["image 1", "image 2"]


def test_the_working_directory_is_called_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    reader = opened(".", columns=Columns(image="photo"))
    assert values(reader)[0] == {"photo": "a-b.gif"}
    assert (reader.name, reader.base) == ("photos", folder)


def test_the_list_stays_the_same_when_images_come_and_go(folder: Path) -> None:
    reader = opened(folder)
    before = paths(reader)
    (folder / "new.png").touch()
    (folder / "b.png").unlink()
    assert paths(reader) == before != paths(opened(folder))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["b.png"]),
        ("**/*", ["a-b.gif", "a.bmp", "a/b/c.webp", "a/z.JPG", "b.png"]),
        ("*.{png,gif,bmp}", ["a-b.gif", "a.bmp", "b.png"]),
        ("{b,*}.png", ["b.png"]),
        ("[ab].*", ["a.bmp", "b.png"]),
    ],
)
def test_a_pattern_gives_the_images_it_matches_each_once(folder: Path, pattern: str, found: list[str]) -> None:
    reader = opened(str(folder / pattern), input_format=None if pattern.endswith(("g", "}")) else "images")
    assert paths(reader) == found
    assert (reader.name, reader.base) == ("photos", folder)


def test_links_to_files_are_images_and_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    (folder / "link.png").symlink_to(folder / "b.png")
    (folder / "dead.png").symlink_to(folder / "none.png")
    assert paths(opened(folder)) == ["a-b.gif", "a.bmp", "a/b/c.webp", "a/z.JPG", "b.png", "link.png"]


def test_a_folder_that_a_link_leads_to_is_as_good_as_any(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(folder)
    for data in (link, str(link / "**" / "*.*")):
        reader = opened(data, input_format="images")
        assert paths(reader) == paths(opened(folder))
        assert reader.base == folder
    assert values(opened(link / "b.png")) == [{"image": "b.png"}]


def test_a_name_that_is_no_text_is_kept_and_refused_later(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder / "c") + b"\xff.png")).touch()
    assert paths(opened(folder))[-1] == "c\udcff.png"


def test_no_list_is_left_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reader = opened(folder)
    list(reader)
    assert len(list(tmp_path.glob("persqa-*"))) == 1
    del reader
    assert list(tmp_path.glob("persqa-*")) == []


def test_what_is_left_out_is_said_once_with_its_suffixes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("x.heic", "a/y.HEIC", "z.avif", "README"):
        (folder / name).touch()
    reader = opened(folder)
    assert len(paths(reader)) == len(paths(reader)) == 5
    (said,) = caplog.messages
    assert said.startswith(f"{folder}: 5 files are left out, as not read: 2 .heic, ")
    assert "1 .avif" in said
    assert "1 without a suffix" in said


def test_a_folder_of_other_files_only_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.heic").touch()
    with pytest.raises(InputError, match=r"photos has no image \(.*\), but 3 \.heic; for files of records"):
        list(opened(tmp_path / "photos"))
