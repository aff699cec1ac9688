"""Site: a broker, a database, pictures and workers for one measure, all gone afterwards."""

from __future__ import annotations

import json
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from PIL import Image, ImageDraw

from persqa.settings import Settings
from producer import Client
from producer.demo import draw, random_person
from tests.support.servers import broker_process, valkey_binary
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from producer import RunHandle

_JPEG_QUALITY = 90
_SIDE = 512
_PEOPLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is submitted.

    Attributes:
        records: the file of them.
        items: how many items they make.
    """

    records: Path
    items: int


class Site:
    """Lives as long as the `with` block."""

    def __init__(self, **settings: object) -> None:
        self._given = settings
        self._stack = ExitStack()
        self._runs = 0
        self._portraits = 0

    def __enter__(self) -> Self:
        """Start the broker and open the database."""
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="persqa-bench-")))
        self.broker = self._stack.enter_context(broker_process(valkey_binary()))
        chosen = {"broker_url": self.broker.url, "database_url": f"sqlite:///{self.folder}/bench.db"}
        self.settings = Settings.model_validate(chosen | self._given)
        self.client = self._stack.enter_context(Client(self.settings))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the workers and the broker."""
        self._stack.close()

    def worker(self, *command: str, **settings: object) -> WorkerProcess:
        """Start a worker, by another command for Python if one is given; returns once it takes messages."""
        chosen = self.settings.model_copy(update=settings)
        worker = self._stack.enter_context(WorkerProcess(chosen, self.folder, command or ("-m", "worker")))
        worker.wait_ready(seconds=180)
        return worker

    def submit(self, load: Load, **options: Any) -> RunHandle:
        """Submit it as a run of its own."""
        self._runs += 1
        return self.client.submit(load.records, run=f"run-{self._runs}", **options)

    def new_portraits(self, images: int) -> Load:
        """Records of portraits that nobody has seen yet, so that no cache has them."""
        self._portraits += images
        return portraits(self.folder, images, first=self._portraits - images)

    def check(self, run: RunHandle) -> None:
        """Make sure that every item has the right result: one row each, and as counted.

        Raises:
            AssertionError: it has not.
        """
        audit = run.audit()
        assert audit.holds, audit

    def scalar(self, statement: str) -> object:
        """One value from the database."""
        engine = sa.create_engine(self.settings.database_url)
        try:
            with engine.connect() as connection:
                return connection.execute(sa.text(statement)).scalar_one()
        finally:
            engine.dispose()


def one_small_image(folder: Path, items: int) -> Load:
    """Records that all name the same small image, for measures of all but images."""
    Image.new("RGB", (32, 32), "navy").save(folder / "small.jpg")
    records = folder / f"small-{items}.jsonl"
    with records.open("w") as file:
        for number in range(items):
            file.write(json.dumps({"image": "small.jpg", "id": number}) + "\n")
    return Load(records=records, items=items)


@cache
def _drawn(number: int) -> Image.Image:
    chance = random.Random(f"benchmarks/{number}")
    return draw(random_person(chance), chance, _SIDE)


def portraits(folder: Path, images: int, *, first: int = 0, records: int | None = None, people: int = _PEOPLE) -> Load:
    """Records with JPEGs, 512 pixels wide and high; by default one record for each, else they take turns.

    No two pictures are the same, as each has its number written on it; to draw each person anew would take longer than
    to answer the question.
    """

    def picture(number: int) -> str:
        name = f"portrait-{number}.jpg"
        if not (folder / name).exists():
            image = _drawn(number % people).copy()
            ImageDraw.Draw(image).text((8, 8), str(number), "black", font_size=32)
            image.save(folder / name, quality=_JPEG_QUALITY)
        return name

    with ThreadPoolExecutor(2) as pool:
        names = list(pool.map(picture, range(first, first + images)))
    items = records or images
    file = folder / f"portraits-{first}-{items}.jsonl"
    with file.open("w") as lines:
        for number in range(items):
            record = {"id": number, "image": names[number % images], "conversation": [{"from": "human", "value": ""}]}
            lines.write(json.dumps(record) + "\n")
    return Load(records=file, items=items)
