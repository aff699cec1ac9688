"""Images that travel with an export: which are copied, how they are called, and what is left where it is."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from persqa.blobs import BlobStore, blob_reference, digest_of
from persqa.errors import InputError, SettingsError
from producer import Client
from producer.cli import app
from tests.support.answered import Answered, answered_below, below, picture
from tests.support.exporting import data_set, parquet_rows, png, read_json
from tests.support.referring import data_uri


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[Answered]:
    with answered_below(tmp_path) as found:
        yield found


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.json", "pairs.jsonl.zst", "pairs.csv"])
def test_text_has_its_images_beside_it_each_content_once(answered: Answered, tmp_path: Path, name: str) -> None:
    one = picture(answered.data / "images" / "one.png", 1).read_bytes()
    two = picture(answered.data / "photo", 2, format="JPEG").read_bytes()
    (answered.data / "same.png").write_bytes(one)
    blobs = BlobStore(tmp_path / "blobs")
    three = png(3)
    stays = data_uri(png(4))
    answered.run(
        [
            {"image": ["images/one.png", "photo"], "id": 0},
            {"image": "same.png"},
            {"image": (answered.data / "photo").as_uri()},
            {"image": str(answered.data / "photo")},
            {"image": blob_reference(blobs.put(three), "its name.png")},
            {"image": stays},
            {"image": None},
        ],
        questions=2,
        image_optional=True,
    )
    assert answered.export(name) == 14
    assert answered.left == []
    folder = f"{name}-images"
    expected = {f"{folder}/{digest_of(one)}.png": one, f"{folder}/{digest_of(two)}.jpg": two,
                f"{folder}/{digest_of(three)}.png": three}  # fmt: skip
    first, second, third = expected
    assert below(answered.out) == sorted([name, *expected])
    assert {path: (answered.out / path).read_bytes() for path in expected} == expected
    if name.endswith(".csv"):
        with (answered.out / name).open(newline="") as file:
            images = [row["image"] for row in csv.DictReader(file)]
        images[0] = json.loads(images[0])
    else:
        images = [record["image"] for record in read_json(answered.out / name)]
    assert images[::2] == [[first, second], first, second, second, third, stays, None if images[12] is None else ""]


def test_formats_that_hold_bytes_have_the_images_inside(answered: Answered, tmp_path: Path) -> None:
    one = picture(answered.data / "images" / "one.png", 1).read_bytes()
    two = picture(answered.data / "two.png", 2).read_bytes()
    three, four = png(3), png(4)
    blob = blob_reference(BlobStore(tmp_path / "blobs").put(three), "three.png")
    references = ["images/one.png", str(answered.data / "two.png"), blob, data_uri(four), "https://host/x.png", None]
    answered.run([{"photo": reference, "other": "two.png"} for reference in references], image_column="photo")
    answered.export("pairs.parquet")
    rows = parquet_rows(answered.out / "pairs.parquet")
    assert [row["photo"] for row in rows] == [
        {"bytes": one, "path": "images/one.png"},
        {"bytes": two, "path": "two.png"},
        {"bytes": three, "path": "three.png"},
        {"bytes": four, "path": None},
        {"bytes": None, "path": "https://host/x.png"},
        None,
    ]
    assert {row["other"] for row in rows} == {"two.png"}
    assert [left.remote for left in answered.left] == [True]
    answered.export("pairs", file_format="hf", chat=True)
    loaded = data_set(answered.out / "pairs")
    assert [found.getpixel((0, 0))[0] for found in loaded[:4]["image"]] == [1, 2, 3, 4]
    assert below(answered.out / "pairs")
    assert sorted(path.name for path in answered.out.iterdir()) == ["pairs", "pairs.parquet"]


def test_one_wrong_record_keeps_no_other_from_being_copied(answered: Answered) -> None:
    one = picture(answered.data / "one.png", 1).read_bytes()
    answered.run([{"image": "one.png"}, {"image": 5}, {"image": ""}, {"image": {"a": 1}}, "no record", {"x": 1}])
    answered.export("pairs.parquet")
    cells = [row["image"] for row in parquet_rows(answered.out / "pairs.parquet")]
    assert cells == [{"bytes": one, "path": "one.png"}, {"bytes": None, "path": "5"}, {"bytes": None, "path": ""},
                     {"bytes": None, "path": '{"a": 1}'}, None, None]  # fmt: skip
    answered.export("pairs.jsonl")
    values = [record.get("image") for record in read_json(answered.out / "pairs.jsonl")]
    assert values[1:] == [5, "", {"a": 1}, None, None]


#: What is said of each image that is not copied.
REFUSED = {
    "gone.png": "no such file", "notes.txt": "none of the formats", "empty.png": "empty", "large.png": "allowed",
    "out.png": "not inside", "../secret.png": "not inside", "/secret.png": "not inside",
    "folder.png": "not a regular file", "pipe.png": "not a regular file", "nul\0.png": "NUL",
    blob_reference("0" * 64, "lost.png"): "not in the blob store", "s3://bucket/a.png": "nothing is fetched",
}  # fmt: skip


def refused_images(data: Path) -> None:
    secret = picture(data.parent / "secret.png", 9)
    (data / "notes.txt").write_text("my passwords")
    (data / "empty.png").touch()
    (data / "large.png").write_bytes(png(1) + bytes(2**20))
    (data / "out.png").symlink_to(secret)
    (data / "folder.png").mkdir()
    os.mkfifo(data / "pipe.png")


@pytest.mark.parametrize(("name", "file_format"), [("pairs.jsonl", None), ("pairs.parquet", None), ("pairs", "hf")])
def test_what_may_not_be_read_or_is_not_there_is_left_and_told(
    answered: Answered, name: str, file_format: str | None
) -> None:
    picture(answered.data / "good.png", 1)
    refused_images(answered.data)
    references = ["good.png", *REFUSED]
    answered.run([{"image": reference} for reference in references])
    settings = answered.client.settings.model_copy(update={"max_image_bytes": 2**20})
    with Client(settings) as client:
        answered.client = client
        answered.export(name, file_format=file_format)
    assert [left.reference for left in answered.left] == [*REFUSED]
    assert all(words in said for words, said in zip(REFUSED.values(), answered.why(), strict=True)), answered.why()
    assert [left.reference for left in answered.left if left.remote] == ["s3://bucket/a.png"]
    whole = ("/secret.png", "blob:", "s3:")
    kept = [part if part.startswith(whole) else f"../data/{part}" for part in REFUSED]
    if name == "pairs.jsonl":
        assert [record["image"] for record in read_json(answered.out / name)][1:] == kept
        assert [path.suffix for path in (answered.out / "pairs.jsonl-images").iterdir()] == [".png"]
        return
    if file_format:
        cells = data_set(answered.out / name).with_format("arrow")[:]["image"].to_pylist()
        # A data set holds images or references, and no mixture.
        assert cells == [{"bytes": (answered.data / "good.png").read_bytes(), "path": "good.png"}] + [None] * len(
            REFUSED
        )
        return
    cells = [row["image"] for row in parquet_rows(answered.out / name)]
    assert [cell["bytes"] is None for cell in cells] == [False] + [True] * len(REFUSED)
    assert [cell["path"] for cell in cells[1:]] == [part.replace("\0", "\ufffd") for part in kept]


@pytest.mark.parametrize("paths", [None, "relative", "absolute"])
def test_a_data_set_takes_nothing_into_itself_but_by_the_door(
    answered: Answered, tmp_path: Path, paths: str | None
) -> None:
    """The library would read what any path names, as soon as one image of the column has its bytes."""
    secret = picture(tmp_path / "secret.png", 9)
    one = picture(answered.data / "one.png", 1).read_bytes()
    blob = BlobStore(tmp_path / "blobs").put(png(3))
    references = [
        blob_reference(blob),
        "one.png",
        str(secret),
        "gone.png",
        "https://host.invalid/a.png",
        f"blob:{64 * '0'}",
    ]
    answered.run([{"image": reference} for reference in references])
    answered.client.run("r").export(answered.out / "pairs", file_format="hf", paths=paths, on_left=answered.left.append)
    cells = data_set(answered.out / "pairs").with_format("arrow")[:]["image"].to_pylist()
    assert [cell and cell["bytes"] for cell in cells] == [png(3), one, None, None, None, None]
    assert len(answered.left) == 4


def test_named_folders_may_be_read_from(answered: Answered, tmp_path: Path) -> None:
    path = picture(tmp_path / "elsewhere" / "a.png", 1)
    answered.run([{"image": str(path)}])
    settings = answered.client.settings.model_copy(update={"image_roots": [path.parent]})
    with Client(settings) as client:
        answered.client = client
        answered.export("pairs.jsonl")
    assert answered.left == []
    assert len(below(answered.out / "pairs.jsonl-images")) == 1


def test_a_failed_export_leaves_the_old_one_with_its_images(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(answered.data / "a.png", 1)
    answered.run([{"image": "a.png"}, {"image": "b.png", "answer": "mine"}])
    answered.export("pairs.jsonl")
    before = {name: (answered.out / name).read_bytes() for name in below(answered.out)}
    picture(path, 2)
    with pytest.raises(InputError, match="has a field 'answer' itself"):
        answered.export("pairs.jsonl", output_key="answer")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("replace", "write_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, full)
            with pytest.raises(InputError, match="the disk is full"):
                answered.export("pairs.jsonl")
    assert {name: (answered.out / name).read_bytes() for name in below(answered.out)} == before
    answered.export("pairs.jsonl")
    assert below(answered.out) == ["pairs.jsonl", f"pairs.jsonl-images/{digest_of(path.read_bytes())}.png"]
    path.unlink()
    answered.export("pairs.jsonl")
    assert below(answered.out) == ["pairs.jsonl"]
    assert [left.name for left in answered.out.iterdir()] == ["pairs.jsonl"]


def test_a_folder_of_somebody_else_is_not_replaced(answered: Answered) -> None:
    picture(answered.data / "a.png", 1)
    answered.run([{"image": "a.png"}])
    holiday = answered.out / "pairs.jsonl-images" / "holiday.jpg"
    holiday.parent.mkdir()
    holiday.touch()
    with pytest.raises(InputError, match=r"something else in it.*holiday\.jpg"):
        answered.export("pairs.jsonl")
    with pytest.raises(InputError, match="images exists: overwrite=True"):
        answered.export("pairs.jsonl", overwrite=False)
    (answered.out / "pairs.csv-images").touch()
    with pytest.raises(InputError, match="and no folder"):
        answered.export("pairs.csv")
    (answered.out / "pairs.json-images").symlink_to(answered.data)
    (answered.data / "a.png").rename(answered.data / f"{64 * '0'}.png")
    with pytest.raises(InputError, match="is a link"):
        answered.export("pairs.json")
    (answered.out / "pairs.json-images").unlink()
    assert below(answered.out) == ["pairs.csv-images", "pairs.jsonl-images/holiday.jpg"]
    with pytest.raises(SettingsError, match="there is no kind of paths 'copies'; did you mean copy"):
        answered.client.run("r").export(answered.out / "x.json", paths="copies")
    with pytest.raises(SettingsError, match="no option of an export"):
        answered.client.run("r").export(answered.out / "x.json", where="copy")  # pyrefly: ignore[unexpected-keyword]


def test_each_format_has_its_usual_paths(answered: Answered) -> None:
    picture(answered.data / "a.png", 1)
    answered.run([{"image": "a.png"}])
    run = answered.client.run("r")

    def image(name: str, **options: Any) -> str:
        path = answered.out / name
        run.export(path, **options)
        rows = {".json": read_json, ".parquet": parquet_rows, "": data_set}[path.suffix](path)
        return rows[0]["image"]

    assert image("a.json") == image("b.json", chat=True) == image("c.parquet") == "../data/a.png"
    whole = str(answered.data / "a.png")
    assert image("d", file_format="hf") == image("e.json", paths="absolute") == whole
    assert image("f", file_format="hf", paths="relative") == "../../data/a.png"
    assert image("../data/g.json") == "a.png"


def test_the_command_says_what_it_has_copied_and_what_not(answered: Answered) -> None:
    picture(answered.data / "a.png", 1)
    answered.run([{"image": ["a.png", "[b].png"]}, {"image": "http://host/c.png"}], questions=2)
    url = answered.client.settings.database_url

    def command(*arguments: str) -> str:
        found = CliRunner().invoke(app, ["export", "r", *arguments, "--database-url", url])
        assert found.exit_code == 0, found.output
        return found.output

    target = answered.out / "pairs.jsonl"
    told = command(str(target), "--paths", "copy")
    where = f"relative paths start at {answered.data} (--image-base)"
    assert told.splitlines() == [
        f"4 rows written to {target}, copies of images to {target}-images",
        f"images not copied: 2, the first: [b].png: no such file; {where}",
        "images on servers, which an export does not fetch: 2",
    ]
    told = command(str(answered.out / "pairs.parquet"), "--paths", "copy", "--json")
    assert json.loads(told) == {
        "run": "r", "file": str(answered.out / "pairs.parquet"), "rows": 4, "not_copied": 2, "not_fetched": 2,
    }  # fmt: skip
    assert "not_copied" not in command(str(answered.out / "other.jsonl"), "--json")
