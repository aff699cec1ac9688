"""Small makers of the things tests are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from persqa.dead_letters import DeadLetter
from persqa.generations import FinishReason, Generation
from persqa.items import Item, ItemId, item_id
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status, Violation
from persqa.runs import Run, RunId, parse_options
from persqa.tags import Tag

if TYPE_CHECKING:
    from persqa.policies import Rung
    from persqa.store import Store
    from persqa.verdicts import Kind
    from producer import Client, RunHandle

MAM = Tag("<mam>")
#: The identity of a ledger that is in no database.
LEDGER = "0123456789abcdef"


def generation(text: str, finish_reason: FinishReason = FinishReason.STOP) -> Generation:
    """A generation with some token counts."""
    return Generation(text=text, finish_reason=finish_reason, prompt_tokens=20, output_tokens=5)


def a_run(**options: object) -> Run:
    """A run that is in no database."""
    return Run(
        id=RunId(1),
        name="a-run",
        options=parse_options(**options),
        pool_digest="",
        fingerprint="",
        base="/data",
        items=1,
        created_at=datetime.now(UTC),
        key="fedcba9876543210",
    )


def a_stored_run(store: Store, items: int, name: str = "r") -> tuple[Run, list[Item]]:
    """A run with items, in the ledger."""
    run = store.runs.create(
        name, options=parse_options(), pool_digest="p", fingerprint="f", base="/data", item_count=items
    )
    batch = [an_item(run.id, index) for index in range(items)]
    assert store.ledger.add(batch, []) == items
    return run, batch


def an_item(run_id: RunId, index: int, *, images: tuple[str, ...] = ("a.png",), question: str = "Is it <mam>?") -> Item:
    """A usable item."""
    return Item(
        id=item_id(run_id, index),
        run_id=run_id,
        position=index,
        slot=0,
        record=json.dumps({"image": list(images), "id": index}),
        images=images,
        tag=MAM,
        topic="attire",
        question=question,
    )


def an_outcome(
    item: Item, status: Status = Status.OK, *, answer: str | None = "<mam> wears red.", **more: object
) -> Outcome:
    """An outcome without violations."""
    fields: dict[str, object] = {"worker": "w", "model": "m", "generations": 1, "answer": answer, **more}
    return Outcome(Result(item_id=item.id, run_id=item.run_id, status=status, **fields))  # pyrefly: ignore[bad-argument-type]


def answer_one(client: Client, run: RunHandle) -> None:
    """Give the first pending item of a run an answer, as if a worker had; its message stays in the queue."""
    first = next(client.store.ledger.pending(run.run.id))[0]
    client.store.results.commit([an_outcome(first)])


def a_violation(item: Item, rung: Rung, kind: Kind, text: str = "no tag") -> Violation:
    """A violation of an item."""
    return Violation(
        item_id=item.id,
        run_id=item.run_id,
        rung=rung,
        kind=kind,
        text=text,
        finish_reason=FinishReason.STOP,
        seed=1,
        prompt_tokens=20,
        output_tokens=5,
        worker="w",
        model="m",
    )


def a_letter(item_id: ItemId, reason: Reason) -> DeadLetter:
    """A dead letter about an item's message."""
    return DeadLetter(reason=reason, detail="", queue=None, task_id=None, item_id=item_id, text="", worker="w")


def colour_of(index: int) -> tuple[int, int, int]:
    """A colour of its own for each of 65,536 images."""
    return index % 256, index // 256, 7


def write_images(folder: Path, count: int) -> Path:
    """Draw images of one colour each, and a JSON Lines file of their records; gives that file."""
    (folder / "images").mkdir(parents=True)
    records = folder / "records.jsonl"
    with records.open("w") as file:
        for index in range(count):
            Image.new("RGB", (8, 8), colour_of(index)).save(folder / "images" / f"{index}.png")
            file.write(json.dumps({"image": f"images/{index}.png", "id": index}) + "\n")
    return records
