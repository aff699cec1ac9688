"""A gallery of a run whose items have the pictures that a test names."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from persqa.runs import parse_options
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from producer.web.server import Server
from tests.support.asking import Answered, ask
from tests.support.builders import an_item
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from PIL.Image import Image as Picture


@dataclass
class Shown:
    """A gallery of a run whose items have these pictures."""

    folder: Path
    address: str
    first: int

    def get(self, index: int, size: str = "thumb", place: int = 0, **headers: str) -> Answered:
        return ask(self.address, f"/runs/r/items/{self.first + index}/pictures/{place}?size={size}", **headers)

    def picture(self, index: int, size: str = "thumb") -> Picture:
        answer = self.get(index, size)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg"), answer.body[:300]
        return Image.open(BytesIO(answer.body))


@contextmanager
def showing(tmp_path: Path) -> Generator[Callable[..., Shown]]:
    """What serves a run whose items have these references, from a folder; further arguments are settings."""
    with ExitStack() as stack:

        def shown(references: Sequence[str | Sequence[str]], **settings: Any) -> Shown:
            database = with_tables(tmp_path / "persqa.db")
            with closing(Store.open(database)) as store:
                run = store.runs.create(
                    "r", options=parse_options(), pool_digest="p", fingerprint="f", base=str(tmp_path),
                    item_count=len(references),
                )  # fmt: skip
                images = [(one,) if isinstance(one, str) else tuple(one) for one in references]
                items = [an_item(run.id, index, images=some) for index, some in enumerate(images)]
                store.ledger.add(items, [])
            given = load_settings(database_url=database, blob_store=str(tmp_path / "blobs"), **settings)
            client = stack.enter_context(Client(given, local_worker=False))
            server = stack.enter_context(Server(client))
            return Shown(tmp_path, server.address.rstrip("/"), items[0].id)

        yield shown
