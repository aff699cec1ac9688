"""What a worker's images take of the machine's memory, measured at a real worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from producer import Client
from tests.support.builders import colour_of
from tests.support.referring import quiet
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site, Size

pytestmark = pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)

_MB = 10**6
_WAYS: list[tuple[str, dict[str, Any]]] = [
    ("png", {"compress_level": 1}),
    ("webp", {"lossless": True, "quality": 0, "method": 0}),
    ("tiff", {"compression": "tiff_lzw"}),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("edge", [512, None])
def test_large_pictures_wait_for_memory(
    site: Site, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch, edge: int | None
) -> None:
    """Small files of large pictures, and an engine that is slower than the decoders."""
    pictures, side, budget = size(16, 256), size(4000, 7071), size(320 * _MB, 4 * 2**30)
    monkeypatch.setenv("SCRIPT_SECONDS", str(size(1, 30)))
    monkeypatch.setenv("SCRIPT_NOTES", str(tmp_path / "notes"))
    settings = scripted(site.settings, "takes_long").model_copy(
        update={"window": pictures, "image_memory_bytes": budget, "lease_seconds": 300}
    )
    settings = settings.model_copy(update={"engine_args": {**settings.engine_args, "edge": edge}})
    data = _draw(tmp_path / "data", pictures, side)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        worker.wait_ready()
        run = client.submit(data)
        run.wait(timeout_seconds=1500, display=quiet)
        assert _peak(worker.process.pid) < budget + 500 * _MB
        # Each was answered, and after its own picture.
        for index, row in enumerate(run.results()):
            red, green, blue = colour_of(index % len(_WAYS))
            assert str(row.answer).endswith(f"is {red}-{green}-{blue}"), row.detail


def _draw(folder: Path, pictures: int, side: int) -> Path:
    (folder / "images").mkdir(parents=True)
    for index, (ending, options) in enumerate(_WAYS):
        Image.new("RGB", (side, side), colour_of(index)).save(folder / f"{index}.{ending}", **options)
    records = folder / "records.jsonl"
    with records.open("w") as file:
        for index in range(pictures):
            kind = index % len(_WAYS)
            name = f"images/{index}.{_WAYS[kind][0]}"
            (folder / name).hardlink_to(folder / f"{kind}.{_WAYS[kind][0]}")
            file.write(json.dumps({"image": name, "id": index}) + "\n")
    return records


def _peak(pid: int) -> int:
    """The most memory that a process had until now, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
