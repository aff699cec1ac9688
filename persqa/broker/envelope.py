"""Messages in Celery's wire format: Celery and kombu build one, which is the pattern of all others."""

from __future__ import annotations

import json
import re
import uuid
from base64 import b64encode
from functools import lru_cache
from itertools import count
from typing import Any

import kombu
from celery import Celery
from kombu.serialization import dumps as serialize

from persqa.messages import ENQUEUED_AT, TASK_NAME

#: Placeholders of what differs from message to message; nothing else in a message looks like them.
_ID, _TAG, _BODY, _AT = "PERSQAxTASKxID", "PERSQAxDELIVERYxTAG", "PERSQAxBODY", "PERSQAxENQUEUEDxAT"
#: What Celery sends beside the arguments: no callbacks.
_EMBEDDED = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})


class EnvelopeBuilder:
    """Builds what Celery's `send_task` would push, without a connection."""

    def __init__(self) -> None:
        self._amqp = Celery("persqa", set_as_current=False, fixups=[]).amqp
        # All virtual transports of kombu share this code; the memory transport needs no server.
        self._channel: Any = kombu.Connection("memory://").channel()
        # Celery sends a UUID per message. One UUID and a counter are as unique and save most of the time.
        series = str(uuid.uuid4())
        self._tags = (f"{series}-{number}" for number in count())
        self._pattern = lru_cache(maxsize=64)(self._new_pattern)
        # Messages that are published together share a time.
        self._dated = lru_cache(maxsize=8)(self._new_dated)

    def build(self, task_id: str, message: str, *, queue: str, enqueued_at: float) -> str:
        """The text of one queue entry.

        Args:
            task_id: the task's id for revoke and inspect; letters, digits and hyphens.
            message: the task's only argument, as JSON.
            queue: the list it will be pushed to.
            enqueued_at: the time, in seconds since the epoch.
        """
        body = f"[[{message}], {{}}, {_EMBEDDED}]"
        return self._dated(queue, enqueued_at) % {
            _ID: task_id,
            _TAG: next(self._tags),
            _BODY: b64encode(body.encode()).decode(),
        }

    def _new_dated(self, queue: str, enqueued_at: float) -> str:
        text = self._pattern(queue).replace(f'"{_AT}"', f"{enqueued_at:.3f}").replace("%", "%%")
        return re.sub(f"{_ID}|{_TAG}|{_BODY}", r"%(\g<0>)s", text)

    def _new_pattern(self, queue: str) -> str:
        # Celery would add the arguments' repr for display, which costs more than everything else.
        task = self._amqp.as_task_v2(
            _ID, TASK_NAME, args=(), kwargs={}, argsrepr=f"(<item {_ID}>,)", kwargsrepr="{}", ignore_result=True
        )
        content_type, encoding, _body = serialize(task.body, serializer="json")
        envelope = self._channel.prepare_message(
            "",
            priority=0,
            content_type=content_type,
            content_encoding=encoding,
            headers={**task.headers, ENQUEUED_AT: _AT},
            properties={"delivery_mode": 2, **task.properties},
        )
        self._channel._inplace_augment_message(envelope, exchange="", routing_key=queue)  # noqa: SLF001
        envelope["body"] = _BODY
        envelope["properties"]["delivery_tag"] = _TAG
        return json.dumps(envelope)
