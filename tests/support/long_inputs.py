"""Inputs of any length."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.support.thousand import picture

_CHUNK = 10_000
_PICTURES = 50


def _records(rows: int, width: int) -> Iterator[dict[str, object]]:
    for index in range(rows):
        words = f"{index:08}" * (width // 8)
        yield {"id": index, "image": f"images/{index:08}.png", "words": words}


def _json(path: Path, rows: int, width: int) -> None:
    with path.open("w") as file:
        file.write("[")
        for index, record in enumerate(_records(rows, width)):
            file.write(("," if index else "") + json.dumps(record))
        file.write("]")


def _json_lines(path: Path, rows: int, width: int) -> None:
    kept: IO[str] = cast("IO[str]", zstandard.open(path, "wt")) if path.suffix == ".zst" else path.open("w")
    with kept as file:
        for record in _records(rows, width):
            file.write(json.dumps(record) + "\n")


def _csv(path: Path, rows: int, width: int) -> None:
    # Packing each row by itself takes longer than all else.
    with (
        gzip.open(path, "wb", compresslevel=1) as packed,
        io.TextIOWrapper(io.BufferedWriter(packed, 1 << 20), newline="") as file,
    ):
        table = csv.DictWriter(file, ["id", "image", "words"])
        table.writeheader()
        table.writerows(_records(rows, width))


def _tables(rows: int, width: int) -> Iterator[pa.Table]:
    records = _records(rows, width)
    while chunk := list(islice(records, _CHUNK)):
        yield pa.Table.from_pylist(chunk)


def _parquet(path: Path, rows: int, width: int) -> None:
    # One row group: a reader that takes whole ones would hold everything at once.
    table = pa.concat_tables(list(_tables(rows, width)))
    pq.write_table(table, path, row_group_size=rows, use_dictionary=False)


def write_groups(path: Path, rows: int, width: int) -> None:
    """Parquet in row groups of a thousand, as data sets on the hub have it."""
    pq.write_table(pa.concat_tables(list(_tables(rows, width))), path, row_group_size=1000, use_dictionary=False)


def _data_set(path: Path, rows: int, width: int) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset(cast("Any", pa.concat_tables(list(_tables(rows, width))))).save_to_disk(str(path), num_shards=2)


def _shards(path: Path, rows: int, _: int) -> None:
    with tarfile.open(path, "w") as archive:
        for index in range(rows):
            _add(archive, f"{index:08}.json", b'{"id": %d}' % index)
            _add(archive, f"{index:08}.png", picture(index % _PICTURES))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
    archive.members.clear()  # pyrefly: ignore[missing-attribute] - it would keep all of them


def _pictures(path: Path, rows: int, _: int) -> None:
    path.mkdir()
    for index in range(rows):
        # Long names, as all that could be kept of an image is its name.
        (path / f"{index:0200}.png").touch()


#: What is written, by the name of the file or folder.
INPUTS: dict[str, Callable[[Path, int, int], None]] = {
    "long.json": _json,
    "long.jsonl": _json_lines,
    "long.jsonl.zst": _json_lines,
    "long.csv.gz": _csv,
    "long.parquet": _parquet,
    "long-set": _data_set,
    "long.tar": _shards,
    "long-pictures": _pictures,
}
