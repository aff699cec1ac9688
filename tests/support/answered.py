"""A run that has been answered, without a broker or a worker: what exports are tested with."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from persqa.items import Item, item_id
from persqa.runs import parse_options
from persqa.settings import load_settings
from producer import Client
from producer.exporters.copies import Left
from tests.support.builders import MAM, an_outcome
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from collections.abc import Generator

    from pydantic import JsonValue


@dataclass
class Answered:
    """A client, a folder of data, and runs that have been answered."""

    client: Client
    data: Path
    out: Path
    left: list[Left] = field(default_factory=list)

    def run(self, records: list[JsonValue], *, questions: int = 1, **options: object) -> None:
        """Store the run `r` with these records and an answer to each question."""
        store = self.client.store
        made = store.runs.create(
            "r", options=parse_options(**options), pool_digest="p", fingerprint="f", base=str(self.data),
            item_count=len(records) * questions,
        )  # fmt: skip
        items = [
            Item(
                id=item_id(made.id, position * questions + slot), run_id=made.id, position=position, slot=slot,
                record=json.dumps(record), images=("a.png",), tag=MAM, topic="who", question="Who is <mam>?",
            )
            for position, record in enumerate(records) for slot in range(questions)
        ]  # fmt: skip
        store.ledger.add(items, [])
        store.results.commit([an_outcome(item) for item in items])

    def export(self, name: str, **options: Any) -> int:
        """Export that run, below the folder for it."""
        self.left.clear()
        given: dict[str, Any] = {"paths": "copy", "overwrite": True, **options}
        return self.client.run("r").export(self.out / name, on_left=self.left.append, **given)

    def why(self) -> list[str]:
        return [left.why.removeprefix(f"{left.reference}: ") for left in self.left]


@contextmanager
def answered_below(folder: Path) -> Generator[Answered]:
    """A client and its folders, in a folder."""
    settings = load_settings(database_url=with_tables(folder / "persqa.db"), blob_store=str(folder / "blobs"))
    for name in ("data", "out"):
        (folder / name).mkdir()
    with Client(settings) as client:
        yield Answered(client, folder / "data", folder / "out")


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def picture(path: Path, shade: int, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(path, **options)
    return path
