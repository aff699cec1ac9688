"""Bytes that the blob store has lost or damaged come back with the data they came from."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from persqa.results import Status
from producer import Client
from tests.integration.test_worker import counts, quiet
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site


def uri(number: int) -> str:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(picture, "PNG")
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def in_text(folder: Path) -> Path:
    path = folder / "faces.jsonl"
    path.write_text("".join(json.dumps({"image": uri(number)}) + "\n" for number in range(4)))
    return path


def in_cells(folder: Path) -> Path:
    cells = [base64.b64decode(uri(number).partition(",")[2]) for number in range(4)]
    pq.write_table(pa.table({"image": cells}), folder / "faces.parquet")
    return folder / "faces.parquet"


@pytest.mark.parametrize("write_input", [in_text, in_cells])
def test_damaged_and_missing_blobs_are_back_when_the_data_is_submitted_again(
    site: Site, tmp_path: Path, write_input: Callable[[Path], Path]
) -> None:
    blobs = tmp_path / "blobs"
    settings = scripted(site.settings, "reads_colour").model_copy(update={"blob_store": str(blobs)})
    data = write_input(tmp_path)
    with Client(settings) as client:
        run = client.submit(data)
        flipped, cut, gone, _whole = sorted(blobs.glob("??/??/*"))
        flipped.write_bytes(bytes([*flipped.read_bytes()[:-1], flipped.read_bytes()[-1] ^ 1]))
        cut.write_bytes(cut.read_bytes()[:-1])
        gone.unlink()
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
            assert counts(run) == {"ok": 1, "invalid": 3}
            client.submit(data)
            run.requeue(Status.INVALID)
            run.wait(timeout_seconds=60, display=quiet)
        assert {row.answer for row in run.results()} == {f"<mam> is {number}-0-0" for number in range(4)}
