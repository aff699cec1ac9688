"""From wherever an export lies, its references lead to the files that its run was asked about."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from producer.exporters.paths import UNCHANGED, Paths, each_reference, placement
from producer.exporters.shapes import exported_record
from tests.support.exporting import a_row
from tests.support.thousand import picture

BLOB = "blob:" + 64 * "0"
BARE = b64encode(picture(0)).decode()
NAMES = ["a.png", "./a.png", "images/b.png", "images/../a.png", "../up.png", "linked/../c.png", "back\\slash.png",
         "we ird/ü 1.png", "./http:/x.png", "C:\\x.png", "images//b.png"]  # fmt: skip


def a_tree(root: Path) -> Path:
    """A folder with a file for each of the names; through the link, `..` leads out of another folder."""
    base = root / "sets" / "people"
    (root / "far" / "folder").mkdir(parents=True)
    base.mkdir(parents=True)
    (base / "linked").symlink_to(root / "far" / "folder")
    for name in NAMES:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return base


@pytest.mark.parametrize("paths", [Paths.RELATIVE, Paths.ABSOLUTE])
@pytest.mark.parametrize("folder", [".", "sets", "sets/people", "sets/people/images", "out/deep", "not/there", "way"])
def test_references_lead_to_the_same_files(tmp_path: Path, folder: str, paths: Paths) -> None:
    base = a_tree(tmp_path)
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "way").symlink_to(tmp_path / "out" / "deep")
    place = placement(str(base), tmp_path / folder, paths)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        placed = place(name)
        assert Path(os.path.join(tmp_path / folder, placed)).samefile(base / name), placed  # noqa: PTH118 - as programs do
        assert os.path.isabs(placed) == (paths is Paths.ABSOLUTE)  # noqa: PTH117


def test_beside_the_input_every_reference_is_the_same_text(tmp_path: Path) -> None:
    base = a_tree(tmp_path)
    (tmp_path / "again").symlink_to(base)
    for folder in (base, tmp_path / "again", Path(os.path.relpath(base))):
        assert placement(str(base), folder, Paths.RELATIVE) == UNCHANGED
    assert all(UNCHANGED(name) == name for name in [*NAMES, "", "/a.png", "http://x/y"])


@pytest.mark.parametrize("paths", [Paths.RELATIVE, Paths.ABSOLUTE])
@pytest.mark.parametrize(
    "reference",
    ["", "/data/a.png", "//data/a.png", "file:///data/a.png", "FILE:/a.png", "http://host/a.png", "https://h/a b.png",
     "s3://bucket/a.png", "data:image/png;base64,AAAA", "blob:" + 64 * "0", "hf://org/name/a.png"],
)  # fmt: skip
def test_only_relative_paths_are_changed(paths: Paths, reference: str) -> None:
    assert placement("/data/people", Path("/data/out"), paths)(reference) == reference


@pytest.mark.parametrize("name", ["data:", "blob:", "file:", "http:"])
def test_a_folder_that_looks_like_a_scheme_is_none(tmp_path: Path, name: str) -> None:
    placed = placement(str(tmp_path / name), tmp_path, Paths.RELATIVE)("/".join(["x", "a.png"]))
    assert placed in (f"./{name}/x/a.png", f"{name}/x/a.png")
    assert placement(str(tmp_path), tmp_path / "out", Paths.RELATIVE)(placed) == f"../{placed}"


@pytest.mark.parametrize(("base", "folder", "expected"), [("/", "/out", "../a.png"), ("/data", "/", "data/a.png")])
def test_the_root_is_a_folder(base: str, folder: str, expected: str) -> None:
    assert placement(base, Path(folder), Paths.RELATIVE)("a.png") == expected
    assert placement(base, Path(folder), Paths.ABSOLUTE)("a.png") == f"{base.rstrip('/')}/a.png"


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_no_text_is_taken_for_something_else_afterwards(reference: str) -> None:
    for paths in (Paths.RELATIVE, Paths.ABSOLUTE):
        place = placement("/data/people", Path("/data/out"), paths)
        placed = place(reference)
        assert placed == reference or placed.endswith(reference)
        assert place(reference) == placed


def test_every_kind_of_image_field(tmp_path: Path) -> None:
    place = placement(str(tmp_path / "in"), tmp_path, Paths.RELATIVE)
    values: list[tuple[JsonValue, JsonValue]] = [
        ("a.png", "in/a.png"),
        (["a.png", "/b.png", "c.png"], ["in/a.png", "/b.png", "in/c.png"]),
        ([], []),
        (["a.png", 5, None, {"url": "b"}], ["in/a.png", 5, None, {"url": "b"}]),
        ({"path": "a.png", "bytes": None, "width": 4}, {"path": "in/a.png", "bytes": None, "width": 4}),
        ([{"path": "a.png"}, {"path": None, "bytes": None}], [{"path": "in/a.png"}, {"path": None, "bytes": None}]),
        ({"path": "a.png", "bytes": BLOB}, {"path": "a.png", "bytes": BLOB}),
        (BARE, BARE),
        (None, None),
        (7, 7),
        ("", ""),
    ]
    for given_value, expected in values:
        assert each_reference(given_value, place) == expected


def test_a_record_has_its_image_field_changed_and_no_other(tmp_path: Path) -> None:
    place = placement(str(tmp_path / "in"), tmp_path, Paths.RELATIVE)
    record: dict[str, JsonValue] = {"photo": "a.png", "image": "a.png", "x": "a.png"}
    found = exported_record(a_row(record), "out", image_column="photo", place=place)
    assert {name: found[name] for name in ("photo", "image", "x")} == {**record, "photo": "in/a.png"}
    # An answer, and what was no record, are no references.
    assert exported_record(a_row({"x": 1}), "photo", image_column="photo", place=place)["photo"] == "<mam> smiles."
    line = a_row("a broken line", answer=None, question="")
    assert exported_record(line, "out", place=place)["record"] == "a broken line"
    wrong = a_row({"photo": ["a.png", 5]}, answer=None, question="")
    assert exported_record(wrong, "out", image_column="photo", place=place)["photo"] == ["in/a.png", 5]
