"""Demo data: portraits, their records, and the right answers."""

from __future__ import annotations

import json
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import UserError
from persqa.system_errors import in_words
from producer.demo import Person, draw, random_person, true_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

TRUTH_FILE = "truth.jsonl"

_LONGEST_NAME = 50
_SIDE = 384
_QUALITY = 90
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class _Portrait:
    """A portrait to draw; only seed and number decide what it shows."""

    seed: int
    number: int

    @property
    def name(self) -> str:
        return f"portrait-{self.number:06}"

    @property
    def image(self) -> str:
        return f"images/{self.name}.jpg"

    def person(self) -> tuple[Person, random.Random]:
        """The person, and the random numbers for the drawing."""
        chance = random.Random(f"demo-data/{self.seed}/{self.number}")
        return random_person(chance), chance


def records_file(folder: Path) -> Path:
    """The file of records, named like the folder: a run is named like its input, and each has its own name so."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip(".-_")[:_LONGEST_NAME]
    return folder / f"{name if name and name != Path(TRUTH_FILE).stem else 'portraits'}.jsonl"


def write_demo_data(count: int, folder: Path, *, seed: int = 0) -> Iterator[int]:
    """Draw portraits into `folder`: `images/`, the file of records and `truth.jsonl`, in the same order.

    The same seed always gives the same portraits. A line of the truth has the image, the attributes by name, and the
    right answers by question template; `{tag}` stands for the tag in both.

    Yields:
        The number of portraits drawn so far. The two files appear when all are drawn.

    Raises:
        UserError: the folder already has such a file, or cannot be written.
    """
    records, truth = records_file(folder), folder / TRUTH_FILE
    drafts = {file: file.with_name(f".{file.name}.part") for file in (records, truth)}
    images = [] if drafts[records].exists() else _there(folder, count)
    if there := [*filter(os.path.lexists, (records, truth)), *images]:
        raise UserError(f"{there[0]} exists already: name another folder, or remove it first")
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with drafts[records].open("w", encoding="utf-8") as for_records, drafts[truth].open("w") as for_truth:
            for portrait in _drawn(count, folder, seed):
                for_records.write(_line(_record(portrait)))
                for_truth.write(_line(_truth(portrait)))
                yield portrait.number
        for file, draft in drafts.items():
            draft.replace(file)
    except OSError as error:
        raise UserError(f"the demo data cannot be written: {in_words(error, error.filename)}") from error


def _there(folder: Path, count: int) -> list[Path]:
    """The images that would be drawn over; those of a drawing that was broken off are not looked for."""
    numbers = range(1, count + 1)
    try:
        found = {path.name for path in (folder / "images").iterdir()}
    except OSError:
        return []
    return [folder / name for name in (_Portrait(0, at).image for at in numbers) if Path(name).name in found]


def _drawn(count: int, folder: Path, seed: int) -> Iterator[_Portrait]:
    """The portraits in order, with their images written; in threads, since Pillow's slow steps run in parallel."""
    portraits = (_Portrait(seed, number) for number in range(1, count + 1))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The pool would hold all portraits at once, and a million would fill the memory.
        while some := list(islice(portraits, _AT_ONCE)):
            yield from pool.map(_draw, some, [folder] * len(some))


def _draw(portrait: _Portrait, folder: Path) -> _Portrait:
    person, chance = portrait.person()
    draw(person, chance, _SIDE).save(folder / portrait.image, quality=_QUALITY)
    return portrait


def _record(portrait: _Portrait) -> dict[str, object]:
    turn = {"from": "human", "value": ""}
    return {"id": portrait.name, "image": portrait.image, "source": "drawn", "conversation": [turn]}


def _truth(portrait: _Portrait) -> dict[str, object]:
    person, _ = portrait.person()
    return {"image": portrait.image, "attributes": asdict(person), "answers": true_answers(person)}


def _line(value: dict[str, object]) -> str:
    return json.dumps(value) + "\n"
