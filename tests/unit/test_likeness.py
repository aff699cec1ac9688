"""What is plainly of another format is refused, with what it looks like and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from persqa.errors import InputError
from persqa.records import Columns
from tests.support.reading import opened, values, write

ROWS = [{"image": f"{number}.png", "note": "naïve"} for number in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
PRETTY = "".join(json.dumps(row, indent=1) + "\n" for row in ROWS)
TABLE = "image,note\n0.png,a b\n1.png,b c\n"
BOXES = [{"image_id": 1, "bbox": [1, 2]}]


def parquet() -> bytes:
    kept = io.BytesIO()
    pq.write_table(pa.table({"image": ["a"]}), kept)
    return kept.getvalue()


def arrow() -> bytes:
    kept = io.BytesIO()
    table = pa.table({"image": ["a"]})
    with pa.ipc.new_stream(kept, table.schema) as stream:
        stream.write_table(table)
    return kept.getvalue()


def archive() -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as opened_archive:
        opened_archive.addfile(tarfile.TarInfo("0.txt"))
    return kept.getvalue()


def zipped(name: str) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as opened_archive:
        opened_archive.writestr(name, LINES)
    return kept.getvalue()


def png() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (2, 2)).save(kept, "PNG")
    return kept.getvalue()


def refusal(folder: Path, name: str, content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        list(opened(write(folder, name, content)))
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("name", "content", "looks", "advice"),
    [
        ("a.jsonl", json.dumps(ROWS), "a JSON array", "input_format json"),
        ("a.jsonl", json.dumps(ROWS, indent=2), "a JSON array", "input_format json"),
        ("a.jsonl", "[" + ",\n".join(map(json.dumps, ROWS)) + "]", "a JSON array", "input_format json"),
        ("a.jsonl", json.dumps(ROWS * 1000), "a JSON array", "input_format json"),
        ("a.jsonl", PRETTY, "JSON objects over several lines", "jq -c . "),
        ("a.jsonl", json.dumps(ROWS[0], indent=1), "JSON objects over several lines", "jq -c . "),
        ("a.jsonl", LINES.replace("\n", "\r"), r"old Macs \(CR\)", r"tr '\\r' '\\n'"),
        ("a.jsonl", TABLE, "CSV", "input_format csv"),
        ("a.jsonl", TABLE.replace(",", "\t"), "tab-separated values", "input_format tsv"),
        ("a.json", LINES, "JSON Lines", "input_format jsonl"),
        ("a.json", PRETTY, "JSON objects over several lines", "jq -c . "),
        ("a.json", json.dumps({"data": ROWS}), "one JSON object with its records under `data`", "jq .data "),
        ("a.json", json.dumps({"v": 1, "rows": ROWS * 999}, indent=1), "records under `rows`", "jq .rows "),
        ("a.jsonl", json.dumps({"data": ROWS}, indent=1), "records under `data`", "jq .data "),
        (
            "a.json",
            json.dumps({"info": {}, "categories": BOXES, "images": [{"file_name": "a"}], "annotations": BOXES}),
            "a file of COCO with its records under `images`",
            "jq .images .* column of the images",
        ),
        ("a.json", json.dumps({"image": {"0": "a", "1": "b"}, "n": {"0": 1, "1": 2}}), "pandas", "orient='records'"),
        ("a.json", json.dumps({"columns": ["image"], "index": [0], "data": [["a"]]}), "pandas", "orient='records'"),
        ("a.json", json.dumps({"x1": ROWS[0], "x2": ROWS[1]}), "a record under each name", r"jq '\[\.\[\]\]' "),
        ("a.json", json.dumps({"a": 1, "b": 2}, indent=1), "one JSON object", "jq -c . "),
        ("a.json", TABLE, "CSV", "input_format csv"),
        ("a.csv", LINES, "JSON Lines", "input_format jsonl"),
        ("a.csv", json.dumps(ROWS, indent=1), "a JSON array", "input_format json"),
        ("a.csv", TABLE.replace(",", "\t"), "tab-separated values", "input_format tsv"),
        ("a.csv", TABLE.replace(",", ";"), r"a table with ; between its cells \(image;note\)", "tr ';' "),
        ("a.csv", TABLE.replace(",", "|"), r"a table with \| between its cells", "tr '|' "),
        ("a.csv", f"sep=;\r\n{TABLE}".replace(",", ";"), "begins with the line 'sep=;'", "tail -n [+]2 .* tr ';' "),
        ("a.csv", f'"sep=,"\n{TABLE}', "begins with the line 'sep=,'", "tail -n [+]2 .*>table.csv"),
        ("a.tsv", TABLE, "CSV", "input_format csv"),
        ("a.parquet", LINES, "JSON Lines", "input_format jsonl"),
        ("a.parquet", TABLE, "CSV", "input_format csv"),
        ("a.tar", LINES, "JSON Lines", "input_format jsonl"),
    ],
)
def test_text_in_another_shape_is_named(tmp_path: Path, name: str, content: str, looks: str, advice: str) -> None:
    for mark in ("", "\ufeff"):
        said = refusal(tmp_path, name, (mark + content).encode())
        assert said.startswith(f"{name}: expected ")
        with pytest.raises(InputError, match=f"and this looks like .*{looks}.*; .*{advice}"):
            raise InputError(said)


#: Tables are made where they are wanted, as pyarrow loads pandas for them.
BINARY: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "Parquet": (parquet, "input_format parquet"),
    "a file of Arrow": (arrow, "save_to_disk"),
    "a tar archive": (archive(), "input_format tar"),
    "a zip archive": (zipped("a.jsonl"), "unzip"),
    "a workbook of a spreadsheet program": (zipped("[Content_Types].xml"), "CSV in UTF-8"),
    "a file of bzip2": (bz2.compress(LINES.encode()), "bunzip2"),
    "a file of xz": (lzma.compress(LINES.encode()), "unxz"),
    "a picture (PNG)": (png(), "input_format images"),
    "a page of the web": (b"\n<!DOCTYPE html><html><title>Sign in</title>", "fetch it anew"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "text in UTF-16": (LINES.encode("utf-16"), "iconv -f UTF-16 -t UTF-8 "),
    "text in UTF-32": (LINES.encode("utf-32"), "iconv -f UTF-32 -t UTF-8 "),
    "a database of SQLite": (b"SQLite format 3\0" + bytes(100), "CSV"),
    "XML": (b"<?xml version='1.0'?><rows/>", "JSON Lines"),
}


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "tsv", "parquet", "tar", "json.gz", "jsonl.zst"])
@pytest.mark.parametrize("looks", BINARY)
def test_what_is_no_text_is_named_whatever_it_is_called(tmp_path: Path, looks: str, suffix: str) -> None:
    made, advice = BINARY[looks]
    content = made if isinstance(made, bytes) else made()
    if looks.split()[-1].lower() in suffix or (looks, suffix) == ("a tar archive", "tar"):
        return
    packed = gzip.compress(content) if suffix.endswith("gz") else content
    packed = zstandard.ZstdCompressor().compress(content) if suffix.endswith("zst") else packed
    said = refusal(tmp_path, f"a.{suffix}", packed)
    assert f"and this looks like {looks}" in said
    assert advice in said


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_is_known_without_its_mark(tmp_path: Path, coding: str) -> None:
    for text in (LINES, TABLE, json.dumps(ROWS)):
        assert f"looks like text in {coding.upper()[:6]};" in refusal(tmp_path, "a.jsonl", text.encode(coding))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", gzip.compress(LINES.encode(), mtime=0), "it is packed with gzip; let its name end in .gz"),
        (
            "a.csv",
            zstandard.ZstdCompressor().compress(TABLE.encode()),
            "it is packed with zstd; let its name end in .zst",
        ),
        ("a.tar", gzip.compress(archive(), mtime=0), "it is packed with gzip; let its name end in .gz"),
        ("a.jsonl.zst", gzip.compress(LINES.encode(), mtime=0), "it is packed with gzip; let its name end in .gz"),
        ("a.jsonl.gz", LINES.encode(), "it is not packed, though it is said to be; give it a name without that suffix"),
        ("a.tgz", archive(), "it is not packed, though it is said to be; give it a name without that suffix"),
    ],
    ids=lambda given: given if isinstance(given, str) and len(given) < 12 else "",
)
def test_a_packing_that_the_name_does_not_say_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    assert refusal(tmp_path, name, content) == f"{name}: {message}"


def test_zeros_behind_packed_data_are_ignored_and_other_bytes_are_not(tmp_path: Path) -> None:
    packed = gzip.compress(LINES.encode(), mtime=0)
    for padded in (packed + bytes(512), packed + bytes(7) + gzip.compress(b"") + bytes(3)):
        assert values(opened(write(tmp_path, "a.jsonl.gz", padded))) == ROWS
    assert "ot a gzipped file" in refusal(tmp_path, "a.jsonl.gz", packed + bytes(512) + b"x")


def test_frames_that_are_skipped_may_begin_a_packed_file(tmp_path: Path) -> None:
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    path = write(tmp_path, "a.jsonl.zst", frame + zstandard.ZstdCompressor().compress(LINES.encode()))
    assert values(opened(path)) == ROWS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '# a comment\n{"image": "a"}\n'),
        ("a.jsonl", '["a list"]\n{"image": "a"}\n'),
        ("a.jsonl", '{"image": \n{"image": "a"}\n'),
        ("a.jsonl", '{"image": "a", "turns": [{"from": "human"}]}'),
        ("a.jsonl", '{"data": [{"a": 1}]}\n{"image": "a"}\n'),
        ("a.jsonl", json.dumps({"image": "a" * 70_000}) + '\n{"image": "a"}\n'),
        ("a.jsonl", '{"image":\r"a"}\n{"image": "a"}'),
        ("a.csv", "image\na;b\n"),
        ("a.csv", "image;x\na\n"),
        ("a.csv", "image\r1.png\r2.png\r"),
        ("a.csv", 'image,"a\tb"\n1.png,"a\tb"\n'),
        ("a.tsv", "image\n1,2.png\n"),
        ("a.json", '[{"image": "a"}]'),
    ],
)
def test_what_is_only_odd_is_read_and_harms_no_more_than_its_records(tmp_path: Path, name: str, content: str) -> None:
    assert any(raw.error is None for raw in opened(write(tmp_path, name, content.encode())))


def test_one_object_on_a_line_is_a_record_where_it_has_the_image_column(tmp_path: Path) -> None:
    record = {"photo": "a", "turns": [{"from": "human"}]}
    path = write(tmp_path, "a.jsonl", json.dumps(record, indent=1).encode())
    with pytest.raises(InputError, match="JSON objects over several lines"):
        list(opened(path, columns=Columns(image="photo")))
    with pytest.raises(InputError, match="records under `turns`"):
        list(opened(path))


def test_a_name_that_says_nothing_is_helped_by_what_the_content_looks_like(tmp_path: Path) -> None:
    for content, found in ((LINES, "jsonl"), (TABLE, "csv"), (json.dumps(ROWS), "json")):
        path = write(tmp_path, "people.txt", content.encode())
        with pytest.raises(InputError, match=f"the suffix names no format: .*; it looks like input_format {found}"):
            opened(path)
    assert values(opened(write(tmp_path, "portrait.bin", png()))) == [{"image": "portrait.bin"}]


@given(head=st.binary(max_size=300))
def test_whatever_the_first_bytes_are_there_is_a_sentence_or_a_record(
    tmp_path_factory: pytest.TempPathFactory, head: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("x.json", "x.jsonl", "x.csv", "x.tsv"):
        path = write(folder, name, head)
        with suppress(InputError):
            assert all(raw.place for raw in opened(path))
