"""How large the messages of a record may become."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.blobs import BlobStore
from persqa.broker.envelope import EnvelopeBuilder
from persqa.broker.keys import queue_for
from persqa.errors import RecordError
from persqa.items import MAX_ITEMS
from persqa.messages import item_messages, task_id
from persqa.questions import parse_pool
from persqa.records import RawRecord, RecordLimits
from persqa.runs import Priority, RunId
from producer.itemizing import Itemizer
from tests.support.builders import LEDGER, a_run

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300)
#: Of files, which have 255 bytes at most.
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60).map("a{}".format)
BUILDER = EnvelopeBuilder()
#: The last run that a database can hold.
LAST = RunId(2**63 // MAX_ITEMS - 1)


@given(texts, texts, texts, st.lists(names, min_size=1, max_size=4), st.booleans())
def test_no_message_is_larger_than_was_said_and_none_is_much_smaller(
    base: str, system: str, prompt: str, images: list[str], verbatim: bool
) -> None:
    record = {"image": images, "prompt": f"{prompt}!", "tag": 32 * "t"}
    pool = parse_pool("p", f"{40 * '{tag}'}?")
    options = {
        "system_prompt": system,
        "model": 30 * "\u00fc",
        "verbatim": verbatim,
        "seed": 2**63 - 1,
        "repeatable": True,
    }
    run = replace(a_run(**options), base=base, recheck=True, id=LAST)

    def itemizer(most: int) -> Itemizer:
        limits = RecordLimits(max_message_bytes=most)
        return Itemizer(options=run.options, pool=pool, limits=limits, base=base, blobs=BlobStore(Path("none")))

    raw = RawRecord(place="record 1", value=json.loads(json.dumps(record)))
    (item,) = itemizer(2**20).items(run.id, 0, raw.json, itemizer(2**20).parse(raw))
    (message,) = item_messages([item], run, ledger=LEDGER)
    queue = queue_for(run.options.model, Priority.NORMAL)
    sent = len(BUILDER.build(task_id(LEDGER, item.id), message, queue=queue, enqueued_at=2e9))
    with pytest.raises(RecordError, match=r"record 1: its message could have \d+ bytes, .*PERSQA_MAX_MESSAGE_BYTES"):
        itemizer(sent - 1).parse(raw)
    itemizer(sent + 2048).parse(raw)
