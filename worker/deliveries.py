"""Delivery: one message in this worker's hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kombu.exceptions import KombuError
from kombu.serialization import loads
from pydantic import ValidationError

from persqa.messages import VERSION, ItemMessage

if TYPE_CHECKING:
    from collections.abc import Callable


class UnreadableDelivery(Exception):
    """The message is not one of ours; nothing in it can be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as Celery hands it over.

    Attributes:
        task_id: Celery's id of it.
        body: the serialized arguments.
        acknowledge: takes the message out of the queue for good; call once, after the commit, from any thread.
    """

    task_id: str
    body: str | bytes
    content_type: str
    content_encoding: str
    acknowledge: Callable[[], None]

    def read(self) -> ItemMessage:
        """The item it carries.

        Raises:
            UnreadableDelivery: it carries none, or one of a version this worker does not know.
        """
        try:
            body = loads(self.body, self.content_type, self.content_encoding, accept={"application/json"})
            (content,), _options, _embedded = cast("tuple[tuple[object], object, object]", body)
            message = ItemMessage.model_validate(content)
        except (KombuError, ValidationError, ValueError, TypeError) as error:
            raise UnreadableDelivery(f"message {self.task_id} is not an item: {error}") from error
        if message.v != VERSION:
            raise UnreadableDelivery(f"message {self.task_id} has version {message.v}, this worker knows {VERSION}")
        return message
