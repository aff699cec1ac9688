"""What a page of pictures costs: thumbnails of photographs, asked for as a browser does, of `persqa ui`."""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from itertools import repeat
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from persqa.runs import parse_options
from persqa.store import Store
from tests.support.builders import an_item

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

#: Of two megapixels.
_SIZE = (1632, 1224)
#: As many as a browser opens.
_CONNECTIONS = 6
_PICTURES = 60


def thumbnails(*, times: int) -> tuple[list[float], list[float]]:
    """The seconds for 60 thumbnails of 2-megapixel JPEGs that nobody has asked for, and for the same ones again."""
    with tempfile.TemporaryDirectory() as folder:
        # Each time others, which are cold.
        run_id = _store_run(Path(folder), _PICTURES * times)
        with _gallery(Path(folder)) as port:
            cold, warm = list[float](), list[float]()
            for number in range(times):
                paths = [
                    f"/runs/photos/items/{item}/pictures/0?size=thumb"
                    for item in range(run_id + number * _PICTURES, run_id + (number + 1) * _PICTURES)
                ]
                cold.append(_seconds(port, paths))
                warm.append(min(_seconds(port, paths) for _ in range(3)))
            return cold, warm


def _store_run(folder: Path, count: int) -> int:
    """Store a run with so many photographs; gives the id of its first item."""
    # What a camera sees: gradients, edges and some noise.
    noise = Image.effect_noise(_SIZE, 24).convert("RGB")
    shapes = Image.radial_gradient("L").resize(_SIZE).convert("RGB")
    for number in range(count):
        photo = Image.blend(shapes.rotate(3 * number), noise, 0.4)
        photo.save(folder / f"{number}.jpg", quality=90)
    with closing(Store.open(_database(folder))) as store:
        run = store.runs.create(
            "photos", options=parse_options(), pool_digest="p", fingerprint="f", base=str(folder), item_count=count
        )
        items = [an_item(run.id, index, images=(f"{index}.jpg",)) for index in range(count)]
        store.ledger.add(items, [])
        return items[0].id


def _database(folder: Path) -> str:
    return f"sqlite:///{folder}/persqa.db"


@contextmanager
def _gallery(folder: Path) -> Generator[int]:
    """A gallery of its own process; gives its port."""
    command = [sys.executable, "-u", "-m", "producer.cli", "ui", "--database-url", _database(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            port = int(said.partition("http://127.0.0.1:")[2].partition("/")[0])
            # The first page loads what all need.
            _seconds(port, ["/"])
            yield port
        finally:
            process.terminate()


def _seconds(port: int, paths: list[str]) -> float:
    """The seconds until all of them have come, over the connections of one browser."""
    shares = [paths[first::_CONNECTIONS] for first in range(_CONNECTIONS)]
    with ThreadPool(_CONNECTIONS) as pool:
        started = time.perf_counter()
        pool.starmap(_get, zip(repeat(port), filter(None, shares), strict=False))
        return time.perf_counter() - started


def _get(port: int, paths: Iterable[str]) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body[:400]
