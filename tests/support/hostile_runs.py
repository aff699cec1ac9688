"""A run of somebody who means harm: script, marks that turn text, towers of accents and megabytes, in every field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from persqa.generations import FinishReason
from persqa.items import Item, item_id
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status, Violation
from persqa.runs import RunId, parse_options
from persqa.store import Store
from persqa.tags import Tag
from persqa.verdicts import ViolationKind
from tests.support.pictures import encoded, quarters

if TYPE_CHECKING:
    from pathlib import Path

    from producer import Client, RunHandle

#: Each of them, run or loaded, would be seen: by the script that sets `harmed`, or by a request elsewhere.
HARM = (
    "<script>window.harmed = 1</script>",
    "</script><script>window.harmed = 1</script>",
    "</textarea></title></style><img src=x onerror='window.harmed = 1'>",
    "\"'><svg onload=window.harmed=1><a href=javascript:window.harmed=1>click</a>",
    "javascript:window.harmed=1",
    "<iframe src=http://evil.example></iframe><link rel=stylesheet href=//evil.example/x.css>",
    "<div hx-get=//evil.example hx-trigger=load hx-on::load='window.harmed=1' data-act=theme data-key=a>x</div>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}${window.harmed = 1}",
    "' onmouseover=window.harmed=1 style=position:fixed;inset:0 autofocus onfocus=window.harmed=1 x='",
    "\u202egnp.exe\u202c \u2066turned\u200f \u202b\u202b\u202b",
    "n" + "\u0301" * 100_000,
    "W" * 1_000_000,
    "\x1b[31m\x07\x00\x08\x9b\u2028\u2029\ufeff",
    "word " * 30_000,
    "\n" * 5000 + "end",
    "漢字" * 3000,
    "﷽" * 200,
    "http://evil.example/a.png",
    "//evil.example/a.png",
    "data:text/html,<script>window.harmed=1</script>",
)
_MOST = 4


def a_hostile_run(client: Client, folder: Path, name: str = "hostile") -> RunHandle:
    """Store a run with harm in whatever a stranger can write: records, references, tags, questions, answers, workers.

    Three of four items have a picture, below a name that is harm, too.
    """
    Store.open(client.settings.database_url).close()
    folder.mkdir(exist_ok=True)
    run = client.store.runs.create(
        name,
        options=parse_options(system_prompt=HARM[0], model=HARM[2][:200]),
        pool_digest="p",
        fingerprint="f",
        base=str(folder),
        item_count=len(HARM) * _MOST,
    )
    items = [_item(run.id, folder, index) for index in range(len(HARM) * _MOST)]
    client.store.ledger.add(items, [])
    client.store.results.commit([_outcome(item) for item in items[:-2]])
    return client.run(name)


def _item(run_id: RunId, folder: Path, index: int) -> Item:
    harm = HARM[index // _MOST]
    # A file name has at most 255 bytes, and no slash.
    name = harm.replace("/", "\u2215").replace("\0", "")[:60]
    reference = harm if index % _MOST == 3 else f"{name}.png"
    if index % _MOST == 0:
        (folder / f"{name}.png").write_bytes(encoded(quarters(), "PNG"))
    short = harm[:2000]
    asked = harm.replace("\0", "")
    record = {"id": short, "image": reference[:5000], harm[:300]: {harm[:300]: [harm]}, "lone": "\ud800", "n": 10**30}
    return Item(
        id=item_id(run_id, index), run_id=run_id, position=index, slot=0, record=json.dumps(record),
        images=(reference[:5000],), tag=Tag(f"<{asked[:50]}>"), topic=asked[:100],
        question=f"Is <{asked[:50]}> {asked}?",
    )  # fmt: skip


def _outcome(item: Item) -> Outcome:
    index = item.position
    harm = HARM[index // _MOST]
    worker, model = harm.replace("\0", "")[:100], harm.replace("\0", "")[:100]
    status = list(Status)[index % _MOST]
    violations = tuple(
        Violation(
            item_id=item.id, run_id=item.run_id, rung=rung, kind=ViolationKind.LATE_TAG, text=harm,
            finish_reason=FinishReason.STOP, seed=1, prompt_tokens=1, output_tokens=1, worker=worker, model=model,
        )
        for rung in (Rung.FREE, Rung.RESEED)
    )  # fmt: skip
    reasons = {
        Status.INVALID: Reason.NOT_FOUND,
        Status.DEAD: Reason.INTERNAL_ERROR,
        Status.NONCOMPLIANT: ViolationKind.LATE_TAG,
    }
    result = Result(
        item_id=item.id, run_id=item.run_id, status=status, reason=reasons.get(status),
        detail=None if status is Status.OK else harm, answer=f"{item.tag} {harm}" if index % _MOST < 2 else None,
        rung=Rung.PREFILL if index % _MOST < 2 else None, generations=3, worker=worker, model=model,
        engine_seconds=1e6, image_seconds=0.0,
    )  # fmt: skip
    return Outcome(result, violations)
