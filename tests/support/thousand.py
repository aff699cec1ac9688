"""The same thousand records, written in every format by the library that the field uses for it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from PIL import Image
from pydantic import JsonValue

from tests.support.builders import colour_of

Record: TypeAlias = "dict[str, JsonValue]"


def thousand() -> list[Record]:
    """Records with text, numbers, nulls, lists and objects in them, all of one shape."""
    return [a_record(index) for index in range(1000)]


def a_record(index: int) -> Record:
    """One of them."""
    return {
        "id": f"r{index}",
        "image": f"images/{index:04}.png",
        "number": index,
        "score": index / 8,
        "good": index % 3 == 0,
        "words": f'Füße, "quoted"\nand 穿 {index}',
        "maybe": None if index % 2 else "there",
        "list": [index, index + 1],
        "nested": {"a": [None, "x"], "b": str(index)},
        "conversation": [{"from": "human", "value": ""}],
    }


@cache
def picture(index: int) -> bytes:
    """A picture of its own for each record."""
    kept = io.BytesIO()
    Image.new("RGB", (2, 2), colour_of(index)).save(kept, "PNG")
    return kept.getvalue()


def reference(index: int) -> str:
    """What stands for the picture once its bytes are in the blob store."""
    return f"blob:{hashlib.sha256(picture(index)).hexdigest()}"


def _json(folder: Path, records: Sequence[Record]) -> Path:
    path = folder / "thousand.json"
    path.write_text(json.dumps(records))
    return path


def _json_lines(folder: Path, records: Sequence[Record]) -> Path:
    path = folder / "thousand.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_csv(folder: Path, records: Sequence[Record]) -> Path:
    """CSV, with lists and objects as JSON in their cells."""
    path = folder / "thousand.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, list(records[0]))
        rows.writeheader()
        for record in records:
            rows.writerow({name: cell_text(value) for name, value in record.items()})
    return path


def cell_text(value: JsonValue) -> str:
    """What stands for a value in a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _parquet(folder: Path, records: Sequence[Record]) -> Path:
    path = folder / "thousand.parquet"
    pq.write_table(pa.Table.from_pylist(cast("list[dict[str, Any]]", records)), path, row_group_size=300)
    return path


def _hugging_face(folder: Path, records: Sequence[Record]) -> Path:
    path = folder / "thousand"
    as_data_set(records).save_to_disk(str(path), num_shards=min(3, len(records)))
    return path


def _hugging_face_splits(folder: Path, records: Sequence[Record]) -> Path:
    import datasets

    path = folder / "thousand"
    datasets.DatasetDict({"train": as_data_set(records)}).save_to_disk(str(path))
    return path


def as_data_set(records: Sequence[Record]) -> Any:
    """A Hugging Face data set of them."""
    import datasets

    datasets.disable_progress_bars()
    return datasets.Dataset.from_list(list(records))


def _gzip(write: Callable[[Path, Sequence[Record]], Path]) -> Callable[[Path, Sequence[Record]], Path]:
    return lambda folder, records: _packed(write(folder, records), ".gz", gzip.compress)


def _zstd(write: Callable[[Path, Sequence[Record]], Path]) -> Callable[[Path, Sequence[Record]], Path]:
    return lambda folder, records: _packed(write(folder, records), ".zst", zstandard.ZstdCompressor().compress)


def _packed(path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> Path:
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(pack(path.read_bytes()))
    path.unlink()
    return packed


#: Formats that give back exactly what was written.
EXACT: dict[str, Callable[[Path, Sequence[Record]], Path]] = {
    "json": _json,
    "json.gz": _gzip(_json),
    "json.zst": _zstd(_json),
    "jsonl": _json_lines,
    "jsonl.gz": _gzip(_json_lines),
    "jsonl.zst": _zstd(_json_lines),
    "parquet": _parquet,
    "hugging face": _hugging_face,
    "hugging face, one split": _hugging_face_splits,
}
#: Formats that know only text.
TEXTUAL: dict[str, Callable[[Path, Sequence[Record]], Path]] = {
    "csv": write_csv,
    "csv.gz": _gzip(write_csv),
    "csv.zst": _zstd(write_csv),
}


def write_shards(folder: Path, records: Sequence[Record], *, packed: bool = False) -> str:
    """WebDataset shards of 250 samples with JSON and picture; gives the pattern that names them."""
    suffix = ".tar.gz" if packed else ".tar"
    pattern = str(folder / f"shard-%03d{suffix}")
    # Imported here: it loads torch, which every process of the tests would do to collect them.
    from webdataset.writer import ShardWriter

    with ShardWriter(pattern, maxcount=250, verbose=0) as shards:
        for index, record in enumerate(records):
            given = {name: value for name, value in record.items() if name != "image"}
            shards.write({"__key__": f"{index:06}", "json": given, "png": picture(index)})
    return str(folder / f"shard-{{000..{(len(records) - 1) // 250:03}}}{suffix}")
