"""A run whose texts would like to be markup, or to spoil the page around them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from persqa.items import Item, item_id
from persqa.policies import Rung
from persqa.results import Outcome, Status
from persqa.runs import parse_options
from persqa.store import Store
from persqa.tags import Tag
from persqa.verdicts import ViolationKind
from tests.support.answered import picture
from tests.support.builders import a_violation, an_outcome

if TYPE_CHECKING:
    from pathlib import Path

    from producer import Client, RunHandle

#: What a script of theirs would leave behind.
MARK = "persqaWasHere"
SCRIPT = f"<script>window.{MARK}=1</script>"
IMAGE = f"<img src=x onerror=window.{MARK}=1>"
#: Each is an answer, a question, the name of an image and the fields of a record.
TEXTS = (
    SCRIPT,
    IMAGE,
    f"\"><svg onload='window.{MARK}=1'>",
    f"</style></script></textarea>{SCRIPT}",
    f"' onmouseover='window.{MARK}=1",
    f"javascript:window.{MARK}=1",
    "\u202egnihton\u2066",
    "o" + "\u0300" * 5000,
    "x" * 1_000_000,
    "{{ 7 * 7 }} ${7*7} <!-- --> ]]>",
)


def a_hostile_run(client: Client, folder: Path) -> RunHandle:
    """Store the run `hostile`, whose pictures lie in a folder: each text in every place of one item."""
    Store.open(client.settings.database_url).close()
    picture(folder / "a.png", 90)
    run = client.store.runs.create(
        "hostile", options=parse_options(system_prompt=SCRIPT, model=IMAGE), pool_digest="p", fingerprint="f",
        base=str(folder), item_count=len(TEXTS),
    )  # fmt: skip
    items = [
        Item(
            id=item_id(run.id, place), run_id=run.id, position=place, slot=0,
            record=json.dumps({"id": f"{text[:100]}\ud800", "image": text}), images=("a.png", text),
            tag=Tag("<mam>"), topic=text[:200], question=text,
        )
        for place, text in enumerate(TEXTS)
    ]  # fmt: skip
    client.store.ledger.add(items, [])
    client.store.results.commit([_outcome(item, text) for item, text in zip(items, TEXTS, strict=True)])
    return client.run("hostile")


def _outcome(item: Item, text: str) -> Outcome:
    ended = an_outcome(item, Status.NONCOMPLIANT, answer=f"<mam> {text}", detail=text, model=IMAGE, worker=text[:100])
    return Outcome(ended.result, (a_violation(item, Rung.FREE, ViolationKind.LATE_TAG, text),))
