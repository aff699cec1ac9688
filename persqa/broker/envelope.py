"""Messages in Celery's own wire format, built by Celery and kombu themselves; only the sending is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kombu
from celery import Celery
from kombu.serialization import dumps as serialize
from kombu.utils.json import dumps

from persqa.messages import TASK_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


class EnvelopeBuilder:
    """Builds what a stock `send_task` would push, without a connection and without pushing it."""

    def __init__(self) -> None:
        self._amqp = Celery("persqa", set_as_current=False, fixups=[]).amqp
        # Every virtual transport of kombu shares this code; that of the memory transport needs no server.
        self._channel: Any = kombu.Connection("memory://").channel()

    def build(self, task_id: str, message: Mapping[str, JsonValue], *, queue: str) -> str:
        """The text of one queue entry.

        Args:
            task_id: the Celery id of the task; revoke and inspect know it by this.
            message: the task's only argument.
            queue: the list it will be pushed to.
        """
        # The arguments' repr, which Celery would send along for display, costs more than all the rest.
        task = self._amqp.as_task_v2(
            task_id, TASK_NAME, args=(message,), kwargs={}, argsrepr=f"(<item {task_id}>,)", kwargsrepr="{}",
            ignore_result=True,
        )  # fmt: skip
        content_type, encoding, body = serialize(task.body, serializer="json")
        envelope = self._channel.prepare_message(
            body,
            priority=0,
            content_type=content_type,
            content_encoding=encoding,
            headers=task.headers,
            properties={"delivery_mode": 2, **task.properties},
        )
        self._channel._inplace_augment_message(envelope, exchange="", routing_key=queue)  # noqa: SLF001
        return dumps(envelope)
