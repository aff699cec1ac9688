"""Rows to export, and exports read again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard
from PIL import Image
from pydantic import JsonValue

from persqa.pairs import PairRow
from persqa.prompts import human_turn
from persqa.records import stored_record
from persqa.results import Status
from producer.exporters import choose_format, write_records
from producer.exporters.images import Blobs, Cells
from producer.exporters.shapes import Pair, Shape
from tests.support.builders import MAM

PROMPT = human_turn(MAM, "Who is <mam>?")


def a_row(record: JsonValue, *, answer: str | None = "<mam> smiles.", question: str = "Who is <mam>?") -> PairRow:
    return PairRow(
        item_id=1, position=0, slot=0, record=stored_record(json.dumps(record)), image="a",
        tag=MAM if question else "", topic="", question=question,
        status=Status.OK if answer else Status.INVALID, reason=None, detail=None, answer=answer, rung=None,
        forced=None, generations=None, prompt_tokens=None, output_tokens=None, worker=None, model=None,
    )  # fmt: skip


def export(
    rows: Iterable[PairRow], path: Path, *, file_format: str | None = None, blobs: Blobs | None = None, **shape: Any
) -> int:
    options: dict[str, Any] = {"output_key": "out", **shape}
    records = Shape(**options).records(Pair(row=row) for row in rows)
    return write_records(
        records, path, file_format=choose_format(path, file_format), cells=None if blobs is None else Cells(blobs)
    )


def parquet_rows(path: Path) -> list[Any]:
    return pq.read_table(path).to_pylist()


def data_set(path: Path) -> Any:
    import datasets

    return datasets.load_from_disk(str(path))


def read_json(path: Path) -> list[Any]:
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            data = gzip.decompress(data)
        case ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read()
        case _:
            pass
    text = data.decode()
    return json.loads(text) if ".json" in path.suffixes else [json.loads(line) for line in text.split("\n") if line]


def png(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()
