"""More image bytes in one export than an array of Arrow holds, which is 2 GiB."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from persqa.blobs import blob_reference
from persqa.pairs import PairRow
from tests.support.exporting import a_row, data_set, export
from tests.support.reading import opened

#: Small ones make the average tell nothing of those that come one after the other, more than 2 GiB in a thousand rows.
SMALL, LARGE = 30_000, 1000
_LARGE_BYTES = 2500 * 2**10


class Drawn:
    """A blob store that draws what it is asked for."""

    def get(self, digest: str, *, max_bytes: int) -> bytes:
        number = int(digest, 16)
        content = random.Random(number).randbytes(_LARGE_BYTES if number >= SMALL else 8)
        assert len(content) <= max_bytes
        return content


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone at the end: pytest would keep its gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def rows() -> Iterator[PairRow]:
    for number in range(SMALL + LARGE):
        yield a_row({"image": blob_reference(f"{number:064x}"), "number": number})


def drawn() -> Iterator[bytes]:
    return (hashlib.sha256(Drawn().get(f"{number:064x}", max_bytes=2**31)).digest() for number in range(SMALL + LARGE))


def digests(cells: Iterator[Any]) -> list[bytes]:
    return [hashlib.sha256(cell["bytes"]).digest() for cell in cells]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_more_than_two_gigabytes_of_images_come_back_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import datasets

    monkeypatch.chdir(folder)
    path = folder / name
    assert export(rows(), path, file_format=None if path.suffix else "hf", blobs=Drawn()) == SMALL + LARGE
    assert SMALL * 8 + LARGE * _LARGE_BYTES > 2**31
    if path.suffix:
        # All of it at once, as pandas does.
        table = pq.read_table(path)
        assert table["image"].nbytes > 2**31
        found = (cell.as_py() for cell in table["image"])
    else:
        # What is shown of images is not to be decoded.
        loaded = data_set(path).cast_column("image", datasets.Image(decode=False))
        found = (row["image"] for row in loaded)
    assert digests(found) == [*drawn()]
    references = [raw.value["image"] for raw in opened(path) if isinstance(raw.value, dict)]
    assert references == [f"blob:{digest.hex()}" for digest in drawn()]
