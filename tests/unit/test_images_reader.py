"""Pictures as input: what is found in a folder or by a pattern, and in which order."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from persqa.errors import InputError
from persqa.records import Columns
from producer.readers.base import Reader
from producer.readers.passed import Passed, PassedOver, in_words
from tests.support.reading import opened, values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a/z.JPG", "a/b/c.webp", "notes.txt", ".hidden.png", ".cache/x.png", "a-b.gif", "a.bmp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def paths(reader: Reader) -> list[str]:
    return [str(record["image"]) for record in values(reader) if isinstance(record, dict)]


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


def test_what_is_passed_over_is_counted_by_kind_with_the_first_of_each(folder: Path) -> None:
    for name in ("x.heic", "a/y.HEIC", "drawing.svg", "README", "odd.a long story"):
        (folder / name).touch()
    (folder / "all").symlink_to(folder)
    (folder / "dead.png").symlink_to(folder / "none.png")
    (folder / "round").symlink_to(folder / "round")
    os.mkfifo(folder / "pipe.png")
    reader = opened(folder)
    assert len(paths(reader)) == len(paths(reader)) == 5
    found = {one.kind: (one.number, one.example) for one in reader.passed}
    assert found.pop("HEIC picture") in {(2, "x.heic"), (2, "a/y.HEIC")}
    assert found.pop("link to nothing") in {(2, "dead.png"), (2, "round")}
    assert found == {
        "SVG picture": (1, "drawing.svg"),
        "file without a suffix": (1, "README"),
        "other file": (1, "odd.a long story"),
        ".txt file": (1, "notes.txt"),
        "hidden file": (1, ".hidden.png"),
        "hidden folder": (1, ".cache"),
        "link to a folder": (1, "all"),
        "special file": (1, "pipe.png"),
    }


def test_a_picture_is_one_by_its_content_whatever_its_suffix_says(folder: Path) -> None:
    names = {"p.jfif": "JPEG", "p": "PNG", "p.txt": "GIF", "p.HEIC": "JPEG", "p.pdf": "WEBP", "p.JPE": "JPEG"}
    for name, kind in names.items():
        Image.new("RGB", (2, 2)).save(folder / name, kind)
    # The pictures of cameras begin as a TIFF does, and are none that is read.
    Image.new("RGB", (2, 2)).save(folder / "p.nef", "TIFF")
    assert {*names} < {*paths(opened(folder))}
    for pattern in ("p*", "[p].*"):
        assert {*paths(opened(str(folder / pattern), input_format="images"))} == {
            name for name in names if name != "p" or pattern == "p*"
        }
    assert [(one.kind, one.example) for one in opened_and_read(folder / "p.nef").passed] == [
        ("camera raw picture", "p.nef")
    ]


def test_a_name_that_looks_like_a_url_is_a_path(folder: Path) -> None:
    (folder / "data:1.jpg").touch()
    (folder / "c:").mkdir()
    (folder / "c:" / "2.jpg").touch()
    assert {"./data:1.jpg", "c:/2.jpg"} < {*paths(opened(folder))}


def test_what_may_not_be_read_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").touch()

    def head(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    # A test may run as somebody who may read everything.
    monkeypatch.setattr("producer.readers.images._head", head)
    reader = opened_and_read(folder)
    assert next((one.number, one.example) for one in reader.passed if one.kind == "unreadable file")[0] == 2


def test_a_folder_of_other_files_only_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.heic").touch()
    said = r"photos has no image that workers decode; passed over: 3 HEIC pictures \(.\.heic\); for files of records"
    with pytest.raises(InputError, match=said):
        list(opened(tmp_path / "photos"))


def test_a_pattern_tells_of_folders_that_it_matches_and_does_not_go_into(folder: Path) -> None:
    (folder / "album.png").mkdir()
    (folder / "album.png" / "1.png").touch()
    reader = opened_and_read(folder / "*.png")
    assert [(one.kind, one.number) for one in reader.passed] == [("folder", 1)]
    assert list(opened_and_read(folder / "**" / "*.png").passed) == []


def test_a_line_for_people_is_short_and_in_words() -> None:
    passed = Passed()
    for number in range(60):
        passed.add(f".s{number} file", "a" * 100)
    passed.add(".s1 file", "other")
    passed.add("link to a folder", "x")
    said = in_words(passed)
    assert said.startswith(f"11 other files (…{'a' * 39}), 2 .s1 files (…{'a' * 39}), 1 .s0 file (")
    assert said.endswith("), 45 more")
    assert len(list(passed)) == 51
    assert in_words([PassedOver("link to a folder", 2, "a/b")]) == "2 links to a folder (a/b)"
    assert in_words([]) == ""


def opened_and_read(path: Path) -> Reader:
    reader = opened(str(path), input_format="images")
    with suppress(InputError):
        list(reader)
    return reader
