"""Exports of dialogues, read by the loaders of the trainers they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from persqa.blobs import BlobStore, blob_reference
from persqa.errors import InputError, SettingsError
from producer.cli import app
from tests.support.answered import Answered, answered_below, picture
from tests.support.exporting import data_set, parquet_rows, png, read_json
from tests.support.referring import data_uri
from tests.support.trainers import Seen, read_as_llava, read_as_qwen_vl

_ROOT = Path(__file__).parents[2]
#: Their wheels alone, without what they require: only what loads data is used of them.
_TRAINERS = ("llamafactory==0.9.5", "ms-swift==4.6.0", "trl==1.16.0")
#: The newest that LLaMA-Factory takes.
_OLD_DATASETS = ("datasets==4.0.0",)
_SYSTEM = [{"from": "system", "value": "Be brief."}]
_ASKED = ["Who is <mam>?", "<mam> wears red."] * 2

# One process fetches the wheels, however many there are.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("trainers")]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    for name, wanted in {"trainers": _TRAINERS, "old": _OLD_DATASETS}.items():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--no-compile"]
        subprocess.run([*pip, "--target", folder / name, *wanted], check=True)
    return folder


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[Answered]:
    with answered_below(tmp_path) as found:
        yield found


def fill(answered: Answered, kind: str) -> list[list[int]]:
    """A run of three records; returns the shades of their pictures."""
    blobs = BlobStore(answered.client.settings.blob_store)
    picture(answered.data / "one.png", 1)
    picture(answered.data / "number two.png", 2)
    blob, inline = blob_reference(blobs.put(png(3)), "three.png"), data_uri(png(4))
    references, shades = {
        "files": (["one.png", "number two.png", (answered.data / "number two.png").as_uri()], [[1], [2], [2]]),
        "bytes": ([blob, inline, "one.png"], [[3], [4], [1]]),
        "several": ([["one.png", "number two.png"], "one.png", [blob, inline]], [[1, 2], [1], [3, 4]]),
    }[kind]
    conversations = [_SYSTEM, None, [*_SYSTEM, {"from": "system", "value": "Be kind."}]]
    records: list[Any] = [
        {"image": found, "conversation": turns} for found, turns in zip(references, conversations, strict=True)
    ]
    answered.run(records, questions=2)
    return shades


def test_dialogues_for_no_trainer_in_particular_are_those_that_most_read(answered: Answered) -> None:
    fill(answered, "several")
    answered.export("out.json", chat=True)
    given = (answered.out / "out.json").read_bytes()
    for trainer in ("sharegpt", "llama-factory", "ms-swift"):
        answered.export("out.json", chat=trainer)
        assert (answered.out / "out.json").read_bytes() == given


def expected(shades: list[list[int]], *, system: bool = True) -> list[Seen]:
    said = ["Be brief.", "", "Be brief.\n\nBe kind."] if system else [""] * 3
    return [
        {"system": words, "turns": _ASKED, "pictures": pictures} for words, pictures in zip(said, shades, strict=True)
    ]


@pytest.mark.parametrize("kind", ["files", "bytes", "several"])
def test_llava_and_qwen_vl_read_theirs(answered: Answered, kind: str) -> None:
    shades = fill(answered, kind)
    for name in ("out.json", "out.jsonl"):
        assert answered.export(name, chat="llava", paths=None) == 3
        assert read_as_qwen_vl(answered.out / name) == expected(shades, system=False)
    assert read_as_llava(answered.out / "out.json") == expected(shades, system=False)
    assert answered.left == []


@pytest.mark.parametrize(
    ("trainer", "names", "old"),
    [
        ("llama-factory", ("out.json", "out.jsonl", "out.parquet"), True),
        ("ms-swift", ("out.json", "out.jsonl", "out.parquet"), False),
        ("trl", ("out.json", "out.jsonl", "out.parquet", "out"), False),
        ("trl", ("out.json", "out.jsonl", "out.parquet", "out"), True),
    ],
)
def test_the_loader_of_a_trainer_reads_what_is_written_for_it(
    libraries: Path, tmp_path: Path, trainer: str, names: tuple[str, ...], old: bool
) -> None:
    wanted: dict[str, list[Seen]] = {}
    for kind in ("files", "bytes", "several"):
        (tmp_path / kind).mkdir()
        with answered_below(tmp_path / kind) as answered:
            shades = fill(answered, kind)
            # A file of text refers to copies by relative paths, and TRL has no folder of images.
            some = names[2:] if trainer == "trl" else names[::2]
            for paths, targets in ((None, names), ("copy", some), ("absolute", names[:1])):
                for name in targets:
                    target = answered.out / f"{paths}-{name}"
                    file_format = None if target.suffix else "hf"
                    assert answered.export(target.name, chat=trainer, paths=paths, file_format=file_format) == 3
                    wanted[str(target)] = expected(shades)
    found = [libraries / "trainers", *([libraries / "old"] if old else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*found, _ROOT]))}
    program = [sys.executable, "-m", "tests.support.trainers", trainer, str(tmp_path / "cache"), *wanted]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1]) == wanted


LOST = f"blob:{64 * '0'}/lost.png"


def fill_with_one_lost(answered: Answered) -> None:
    blobs = BlobStore(answered.client.settings.blob_store)
    kept = [blob_reference(blobs.put(png(shade)), f"{shade}.png") for shade in (1, 2)]
    answered.run([{"image": kept[0]}, {"image": LOST}, {"image": kept[1]}])


@pytest.mark.parametrize("paths", [None, "absolute", "copy"])
@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.csv", "out.parquet", "out"])
def test_a_dialogue_whose_image_is_lost_is_left_out_and_named(answered: Answered, name: str, paths: str | None) -> None:
    fill_with_one_lost(answered)
    file_format = None if Path(name).suffix else "hf"
    assert answered.export(name, chat=True, paths=paths, file_format=file_format) == 2
    assert [(left.reference, left.dropped) for left in answered.left] == [(LOST, True)]
    assert answered.why()[0].startswith("not in the blob store")
    path = answered.out / name
    if name.endswith((".json", ".jsonl")):
        assert [dialogue["id"] for dialogue in read_json(path)] == ["0", "2"]
    if name.endswith(".parquet"):
        assert [row["image"]["bytes"] for row in parquet_rows(path)] == [png(1), png(2)]
    if name == "out":
        assert [image.getpixel((0, 0)) for image in data_set(path)["image"]] == [(1, 0, 0), (2, 0, 0)]


@pytest.mark.parametrize(("name", "cell"), [("out.parquet", {"bytes": None, "path": LOST}), ("out", None)])
def test_a_record_whose_image_is_lost_is_written_and_it_is_named(
    answered: Answered, name: str, cell: dict[str, str] | None
) -> None:
    fill_with_one_lost(answered)
    assert answered.export(name, paths=None, file_format=None if cell else "hf") == 3
    assert [(left.reference, left.dropped) for left in answered.left] == [(LOST, False)]
    path = answered.out / name
    rows = parquet_rows(path) if cell else data_set(path).with_format("arrow")[:].to_pylist()
    assert [row["image"] for row in rows] == [
        {"bytes": png(1), "path": "1.png"}, cell, {"bytes": png(2), "path": "2.png"},
    ]  # fmt: skip


def test_where_every_image_is_lost_a_data_set_says_that_nothing_is_left(answered: Answered) -> None:
    answered.run([{"image": LOST}])
    with pytest.raises(InputError, match="no record to write"):
        answered.export("out", chat=True, file_format="hf")
    assert list(answered.out.iterdir()) == []


def test_who_fetches_nothing_gets_no_url(answered: Answered) -> None:
    picture(answered.data / "a.png", 1)
    answered.run([{"image": "a.png"}, {"image": "https://host/b.png"}, {"image": "s3://bucket/c.png"}])
    for chat, kept in (("llava", 1), ("llama-factory", 1), ("ms-swift", 2), ("trl", 2)):
        assert answered.export("out.json", chat=chat, paths=None) == kept
        assert [left.dropped for left in answered.left] == [True] * (3 - kept)
        assert all(left.remote for left in answered.left)


def test_a_file_that_a_trainer_would_not_know_is_refused(answered: Answered) -> None:
    picture(answered.data / "a.png", 1)
    answered.run([{"image": "a.png"}])
    wrong = [
        ("llava", "out.parquet", None),
        ("llama-factory", "out.csv", None),
        ("llama-factory", "out.json.gz", None),
        ("ms-swift", "out", "hf"),
        ("ms-swift", "out.json", "jsonl"),
        ("trl", "out.csv", None),
    ]
    for chat, name, file_format in wrong:
        with pytest.raises(InputError, match=r"this trainer reads \.json, \.jsonl"):
            answered.export(name, chat=chat, file_format=file_format)
    with pytest.raises(SettingsError, match="no trainer 'lava'; did you mean llava"):
        answered.export("out.json", chat="lava")
    assert list(answered.out.iterdir()) == []


def test_the_command_takes_a_trainer_or_none_and_tells_what_it_left_out(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_with_one_lost(answered)
    monkeypatch.chdir(answered.out)
    monkeypatch.setenv("PERSQA_BLOB_STORE", answered.client.settings.blob_store)

    def command(*arguments: str) -> str:
        url = answered.client.settings.database_url
        found = CliRunner().invoke(app, ["export", "r", *arguments, "--database-url", url])
        assert found.exit_code == 0, found.output
        return found.output

    told = command("--chat", "a.json").splitlines()
    assert told[0] == "2 rows written to a.json, copies of images to a.json-images"
    assert told[1].startswith(f"images not copied: 1, the first: {LOST}: not in the blob store")
    assert told[2:] == ["dialogues left out for want of their images: 1"]
    assert "conversations" in read_json(answered.out / "a.json")[0]
    for words in (("b.json", "--chat", "trl"), ("--chat=trl", "b.json", "--overwrite"), ("--chat", "trl", "c.json")):
        command(*words)
        assert "messages" in read_json(answered.out / next(word for word in words if word.endswith(".json")))[0]
    assert json.loads(command("d.jsonl", "--chat", "--json")) == {
        "run": "r", "file": "d.jsonl", "rows": 2, "not_copied": 1, "not_fetched": 0,
        "dialogues_left_out": 1, "answers_left_out": 0,
    }  # fmt: skip
