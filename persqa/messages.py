"""ItemMessage: all that a worker needs to answer one item without asking the database."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Annotated, NamedTuple

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


class Asked(NamedTuple):
    """The item that a message asks for; only with the key, the run is the same one in any database."""

    run: RunId
    run_key: str
    item: ItemId


class ItemMessage(BaseModel):
    """One item in the queue, with the references of its images, never their bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: int
    #: The identity of the ledger that has the item, and the random key of the run.
    ledger: str
    run_key: str
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
    #: Whether the seed decides how answers are sampled; left out where it does not, as older workers do not know it.
    repeatable: bool = False

    @property
    def asked(self) -> Asked:
        """The item that it asks for."""
        return Asked(self.run, self.run_key, self.item)


def task_id(ledger: str, item_id: ItemId) -> str:
    """Celery's id of the task that answers an item."""
    return f"{ledger}-{item_id}"


def item_of(task: str | None, ledger: str) -> ItemId | None:
    """The item that a task of this ledger answers; None for any other task."""
    found = re.fullmatch(rf"{ledger}-(\d{{11,19}})", task or "")
    return None if found is None else ItemId(int(found[1]))


def item_messages(batch: Iterable[Item], run: Run, *, ledger: str) -> Iterator[str]:
    """The messages of items of one run, each as the text of a JSON object.

    Built without pydantic, for speed: the values are checked already, and the common part is written only once.
    """
    common: dict[str, JsonValue] = {
        "v": VERSION,
        "ledger": ledger,
        "run_key": run.key,
        "run": run.id,
        "base": run.base,
        "system": run.options.system_prompt,
        "policy": run.options.tag_policy.value,
        "sampling": run.options.sampling.model_dump(mode="json", exclude_none=True),
        "seed": run.options.seed,
        "recheck": run.recheck,
        **({"repeatable": True} if run.options.repeatable else {}),
    }
    beginning = json.dumps(common).removesuffix("}")
    for item in batch:
        images = ", ".join(map(encode_basestring_ascii, item.images))
        tag, question = encode_basestring_ascii(item.tag), encode_basestring_ascii(item.question)
        yield (
            f'{beginning}, "item": {item.id}, "requeues": {item.requeues}, "images": [{images}], '
            f'"tag": {tag}, "question": {question}}}'
        )
