"""Records that name images, and runs over them."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from producer import Client, RunHandle
from tests.support.builders import colour_of
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from persqa.settings import Settings


def picture(index: int, side: int = 8) -> bytes:
    """An image of a colour of its own; `reads_colour` says which it was."""
    buffer = BytesIO()
    Image.new("RGB", (side, side), colour_of(index)).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{b64encode(data).decode()}"


def write(folder: Path, references: list[str]) -> Path:
    records = folder / "records.jsonl"
    lines = [json.dumps({"image": reference, "id": index}) for index, reference in enumerate(references)]
    records.write_text("\n".join(lines) + "\n")
    return records


def quiet(_progress: object) -> None:
    """No progress bar in tests."""


def answered(client: Client, settings: Settings, data: Path, folder: Path, **options: Any) -> RunHandle:
    """Submit, answer with one worker, and hand out the finished run."""
    run = client.submit(data, **options)
    with WorkerProcess(settings, folder):
        run.wait(timeout_seconds=60, display=quiet)
    return run
