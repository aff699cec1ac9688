"""Which reader is chosen, what its run is called, and what is refused with a sentence that helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from persqa.errors import InputError
from tests.support.reading import opened, values, write
from tests.support.thousand import as_data_set, thousand, write_shards


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("people.jsonl", "people"),
        ("people.v2.ndjson.zst", "people.v2"),
        ("PEOPLE.JSONL", "PEOPLE"),
        ("people.tar.gz", "people"),
        ("people.tgz", "people"),
        ("anna.jpg", "anna"),
    ],
)
def test_a_run_is_called_as_its_file(tmp_path: Path, name: str, run: str) -> None:
    reader = opened(write(tmp_path, name, b""))
    assert (reader.name, reader.base) == (run, tmp_path)


def test_the_format_that_is_named_goes_before_the_suffix(tmp_path: Path) -> None:
    path = write(tmp_path, "people.json", b'{"image": "a"}\n')
    assert values(opened(path, input_format="jsonl")) == [{"image": "a"}]
    assert values(opened(write(tmp_path, "people.dat", b"image\na\n"), input_format="csv")) == [{"image": "a"}]


@pytest.mark.parametrize(
    ("name", "input_format", "message"),
    [
        ("a.xml", None, r"the suffix names no format: use \.json, .*input_format"),
        ("a", None, "the suffix names no format"),
        ("a.jsonl", "xml", "input_format: there is no format 'xml'; choose json, jsonl, .* or hf"),
        ("a.jsonl", "hf", "is a folder"),
        ("none.jsonl", None, "no such file"),
        ("none*.jsonl", None, "no file matches"),
        ("none-{0..2}.jsonl", None, "no such file: .*none-0.jsonl"),
        ("none-{0..2.jsonl", None, "braces do not match"),
        ("folder", "parquet", r"folder/\*\.parquet names the files in it"),
        ("folder", "images", r"folder has no image .* use a pattern"),
        ("folder", None, r"folder has no image"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(
    tmp_path: Path, name: str, input_format: str | None, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    for there in ("a", "a.xml", "a.jsonl"):
        write(tmp_path, there, b"{}\n")
    with pytest.raises(InputError, match=message):
        list(opened(str(tmp_path / name), input_format=input_format))


def test_files_of_one_pattern_are_one_input_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path, f"people-{name}.jsonl", b'{"image": "%s"}\n' % name.encode())
    reader = opened(str(tmp_path / "people-*.jsonl"))
    assert values(reader) == [{"image": "a"}, {"image": "b"}, {"image": "c"}]
    assert (reader.name, reader.base) == ("people", tmp_path)
    chosen = opened(str(tmp_path / "people-{c,a}.jsonl"))
    assert [raw.place for raw in chosen] == [f"{tmp_path}/people-{name}.jsonl, line 1" for name in "ca"]


def test_files_in_several_folders_have_the_folder_above_them_as_their_base(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        write(tmp_path / "data" / name, "x.jsonl", b'{"image": "a"}\n')
    assert opened(str(tmp_path / "*" / "*" / "*.jsonl")).base == tmp_path / "data"


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    assert values(opened(write(tmp_path, "a[1].jsonl", b'{"image": "a"}\n'))) == [{"image": "a"}]


@pytest.mark.parametrize("missing", ["datasets", "braceexpand"])
def test_a_library_that_is_missing_is_named_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    as_data_set(thousand()[:1]).save_to_disk(str(tmp_path / "set"))
    shards = write_shards(tmp_path, thousand()[:1])
    data = {"datasets": tmp_path / "set", "braceexpand": shards}[missing]
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=rf"needs the library {missing} .*pip install 'persqa\[data\]'"):
        list(opened(data))


def test_only_an_input_that_needs_a_library_loads_it(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.support.reading import opened; list(opened(sys.argv[1])); "
        "print([name for name in ('datasets', 'webdataset', 'torch', 'pandas') if name in sys.modules])"
    )
    path = write(tmp_path, "a.csv", b"image\na\n")
    out = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True, cwd=Path(__file__).parents[2])
    assert out.strip() == "[]"


def test_a_format_or_split_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(InputError, match="hf://org/faces: input_format csv does not go with it: leave it out"):
        opened("hf://org/faces", input_format="csv")
    for given in ({"input_format": "csv"}, {"split": "train"}):
        with pytest.raises(InputError, match="records in memory have no format and no split"):
            opened([{"image": "a"}], input_format=given.get("input_format"), split=given.get("split"))
