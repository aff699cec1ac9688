"""Parsing: from the text of a message to what Celery takes, and from a task's arguments to an item."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from persqa.complaints import explained
from persqa.messages import TASK_NAME, VERSION, ItemMessage
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.broker.leases import Claimed

#: Headers of a message: how often it was delivered, this time included, and which workers had it before.
DELIVERY_COUNT = "x-delivery-count"
DELIVERY_HISTORY = "x-delivery-history"

_LEDGER = re.compile("[0-9a-f]{16}")


class DeadMessage(Exception):
    """No worker can answer this message; it becomes a dead letter."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse_envelope(claimed: Claimed, *, max_characters: int) -> dict[str, Any]:
    """The message as Celery takes it; Celery would drop silently what it cannot take.

    Raises:
        DeadMessage: it has more than `max_characters`, is no task in JSON, or not our task.
    """
    size = len(claimed.text)
    if size > max_characters:
        said = f"it has {size} characters, {max_characters} are allowed (PERSQA_MAX_MESSAGE_BYTES)"
        raise DeadMessage(Reason.OVERSIZED_MESSAGE, said)
    try:
        envelope: dict[str, Any] = json.loads(claimed.text)
        task = envelope["headers"]["task"]
        envelope["content"] = _parse_content(envelope)
        envelope["body"] = None
        envelope["headers"][DELIVERY_COUNT] = claimed.count
        envelope["headers"][DELIVERY_HISTORY] = claimed.history
        envelope["properties"]["delivery_info"]["redelivered"] = claimed.count > 1
        envelope["properties"]["delivery_tag"] = claimed.tag
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DeadMessage(Reason.UNREADABLE_MESSAGE, f"it is no message of Celery in JSON: {error!r}") from error
    if task != TASK_NAME:
        raise DeadMessage(Reason.UNKNOWN_TASK, f"it asks for the task {task!r}, and PersQA knows {TASK_NAME!r} only")
    return envelope


def parse_ledger(envelope: dict[str, Any]) -> str | None:
    """The identity of the ledger that a message belongs to; None where it names none."""
    match envelope["content"]:
        case [[{"ledger": str(ledger)}], *_] if _LEDGER.fullmatch(ledger):
            return ledger
        case _:
            return None


def parse_task_id(claimed: Claimed) -> str | None:
    """Celery's id of a message; None where it is no task at all."""
    try:
        return str(json.loads(claimed.text)["headers"]["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def parse_item(arguments: Sequence[JsonValue]) -> ItemMessage:
    """The item that a task carries.

    Raises:
        DeadMessage: it carries none, or one of a version this worker does not know.
    """
    if len(arguments) != 1:
        said = f"it is not an item: a task of ours has one argument, this one {len(arguments)}"
        raise DeadMessage(Reason.UNREADABLE_MESSAGE, said)
    content = arguments[0]
    version = content.get("v") if isinstance(content, dict) else None
    if version != VERSION:
        said = f"it is an item of version {version}, and this worker knows version {VERSION}"
        raise DeadMessage(Reason.UNKNOWN_VERSION, said)
    try:
        return ItemMessage.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {explained(part)}" for part in error.errors())
        raise DeadMessage(Reason.UNREADABLE_MESSAGE, f"it is not an item: {wrong}") from error


def _parse_content(envelope: dict[str, Any]) -> list[Any]:
    """Positional arguments, named arguments, and what Celery adds."""
    kind = envelope["content-type"]
    if kind != "application/json":
        raise ValueError(f"its content is of the type {kind}")
    encoded = envelope["properties"]["body_encoding"] == "base64"
    arguments, options, embedded = json.loads(b64decode(envelope["body"]) if encoded else envelope["body"])
    if not (isinstance(arguments, list) and isinstance(options, dict)):
        raise TypeError("its content is no call of a task")
    return [arguments, options, embedded]
