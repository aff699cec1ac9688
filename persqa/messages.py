"""ItemMessage: all that a worker needs to answer one item without asking the database."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from persqa.items import Item, ItemId
from persqa.policies import Policy
from persqa.runs import Run, RunId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The version of the message; a worker refuses any other.
VERSION = 1
#: The Celery task an item travels as.
TASK_NAME = "persqa.answer"
#: The header with the time of enqueueing, in seconds since the epoch, by the clock of the sender.
ENQUEUED_AT = "x-enqueued-at"

#: The range of keys in the database.
_KEY = Field(ge=1, lt=2**63)


class ItemMessage(BaseModel):
    """One item in the queue, with the references of its images, never their bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: int
    item: Annotated[ItemId, _KEY]
    run: Annotated[RunId, _KEY]
    requeues: int
    images: list[str]
    base: str
    tag: str
    question: str
    system: str
    policy: Policy
    sampling: dict[str, JsonValue]
    seed: int
    #: Whether known bad images are tried again.
    recheck: bool


def item_messages(batch: Iterable[Item], run: Run) -> Iterator[str]:
    """The messages of items of one run, each as the text of a JSON object.

    Built without pydantic, for speed: the values are checked already, and the common part is written only once.
    """
    common: dict[str, JsonValue] = {
        "v": VERSION,
        "run": run.id,
        "base": run.base,
        "system": run.options.system_prompt,
        "policy": run.options.tag_policy.value,
        "sampling": run.options.sampling.model_dump(mode="json", exclude_none=True),
        "seed": run.options.seed,
        "recheck": run.recheck,
    }
    beginning = json.dumps(common).removesuffix("}")
    for item in batch:
        images = ", ".join(map(encode_basestring_ascii, item.images))
        tag, question = encode_basestring_ascii(item.tag), encode_basestring_ascii(item.question)
        yield (
            f'{beginning}, "item": {item.id}, "requeues": {item.requeues}, "images": [{images}], '
            f'"tag": {tag}, "question": {question}}}'
        )
