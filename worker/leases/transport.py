"""Transport: kombu's Redis transport, with messages under leases.

Stock kombu pops a message and writes down in a second step who has it, gives back what is in hand whenever its
connection drops, and ends the worker when Redis restarts under it. Here a `LeaseKeeper` claims, renews and settles on
a connection of its own; kombu keeps the rest: remote control, and Celery's consumer on top.

For consuming only: producers, `celery inspect` and Flower use stock `redis://`. It leans on inner seams of kombu 5.7
(`Channel._brpop_start`, `QoS.append`, `ack` and `reject`, `Transport._deliver`), which tests hold in place.
"""

# kombu has no types, and its seams are private.
# ruff: noqa: SLF001
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from kombu.transport import redis, virtual

from persqa.broker.leases import Leases
from persqa.messages import TASK_NAME
from persqa.reasons import Reason
from persqa.settings import load_settings
from worker.dead_letters import dead_letters
from worker.leases.keeper import Consumer, LeaseKeeper
from worker.process.identity import worker_name

if TYPE_CHECKING:
    from persqa.broker.leases import Claimed

#: Headers of a message: how often it was delivered, this time included, and who had it before.
DELIVERY_COUNT = "x-delivery-count"
DELIVERY_HISTORY = "x-delivery-history"


_settings = cache(load_settings)


@cache
def lease_keeper() -> LeaseKeeper:
    """The keeper of this process; it outlives Celery's connections, as what is in hand does."""
    settings = _settings()
    assert settings.broker_url is not None
    leases = Leases(settings.broker_url, worker=worker_name(), seconds=settings.lease_seconds)
    return LeaseKeeper(leases, lease_seconds=settings.lease_seconds)


class DeadMessage(Exception):
    """Nobody can be asked to answer this message.

    Attributes:
        reason: why, in one word.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Message(virtual.Message):
    """A message whose content was read when it was claimed."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **options: Any) -> None:
        super().__init__(payload, channel, **options)
        # Messages of remote control come this way, too, and have none.
        self._decoded_cache = payload.get("content")


class QoS(redis.QoS):
    """What Celery has in hand; only the keeper speaks of it to Redis."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Nothing to tell: the claim put it under a lease."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Done with for good; also when the connection it came by is gone."""
        lease_keeper().settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give it back, or be done with it."""
        if requeue:
            lease_keeper().give_back(delivery_tag)
        else:
            lease_keeper().settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_arguments: Any, **_options: Any) -> None:
        """The keeper puts back what others left behind."""


class Channel(redis.Channel):
    """Hands on what the keeper claims."""

    Message = Message
    QoS = QoS
    #: A dropped connection gives nothing back: what is in hand goes on, and its leases say so.
    do_restore = False

    _claiming = False

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        """Claim from this queue, too."""
        answer = super().basic_consume(queue, *arguments, **options)
        self._tell_keeper()
        return answer

    def _basic_cancel(self, consumer_tag: str) -> Any:
        answer = super()._basic_cancel(consumer_tag)
        self._tell_keeper()
        return answer

    def _tell_keeper(self) -> None:
        # The channel of remote control has none but fanout queues, and nothing to do with the keeper.
        queues = tuple(self.active_queues)
        if queues:
            self._claiming = True
            lease_keeper().attach(Consumer(queues=queues, room=self._room, deliver=self._deliver_soon))
        elif self._claiming:
            self._claiming = False
            lease_keeper().detach()

    def _room(self) -> int:
        return self.qos.prefetch_count or _settings().window

    def _deliver_soon(self, claimed: list[Claimed]) -> None:
        """Called by the keeper's thread; Celery is not to be touched by any but its own."""
        # What comes while the channel closes was given back by it.
        if (transport := self.connection) is not None:
            transport.hub.call_soon(self._deliver, claimed)

    def _deliver(self, claimed: list[Claimed]) -> None:
        if self.connection is None:
            return
        for message in claimed:
            if not lease_keeper().awaits(message.tag):
                # Given back since, with the connection that was to bring it.
                continue
            if message.queue not in self.connection._callbacks:
                lease_keeper().give_back(message.tag)
                continue
            try:
                self.connection._deliver(_envelope(message), message.queue)
            except DeadMessage as dead:
                _bury(message, dead)
            except Exception as error:  # noqa: BLE001 - out of here it would end the worker
                _bury(message, DeadMessage(Reason.UNREADABLE_MESSAGE, f"Celery cannot take it: {error!r}"))

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for nothing. The connection is watched all the same, so that its loss is noticed."""


class Transport(redis.Transport):
    """`worker.leases.transport:Transport`, as kombu names it."""

    Channel = Channel

    hub: Any = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Learn of Celery's loop."""
        super().register_with_event_loop(connection, loop)
        self.hub = loop


def _envelope(claimed: Claimed) -> dict[str, Any]:
    """What Celery gets, once it is sure to be a task it can take: what Celery itself cannot take it drops.

    Raises:
        DeadMessage: it is none.
    """
    size, most = len(claimed.text), _settings().max_message_bytes
    if size > most:
        raise DeadMessage(Reason.OVERSIZED_MESSAGE, f"it has {size} characters, {most} are allowed")
    try:
        envelope: dict[str, Any] = json.loads(claimed.text)
        task = envelope["headers"]["task"]
        envelope["content"] = _content(envelope)
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


def _content(envelope: dict[str, Any]) -> list[Any]:
    """Arguments by place, by name, and what Celery adds; read once, for whoever asks later."""
    kind = envelope["content-type"]
    if kind != "application/json":
        raise ValueError(f"its content is of the type {kind}")
    encoded = envelope["properties"]["body_encoding"] == "base64"
    arguments, options, embedded = json.loads(b64decode(envelope["body"]) if encoded else envelope["body"])
    if not (isinstance(arguments, list) and isinstance(options, dict)):
        raise TypeError("its content is no call of a task")
    return [arguments, options, embedded]


def _bury(claimed: Claimed, dead: DeadMessage) -> None:
    dead_letters().bury(
        dead.reason,
        str(dead),
        text=claimed.text,
        queue=claimed.queue,
        task_id=_task_id(claimed),
        then=partial(lease_keeper().settle, claimed.tag),
    )


def _task_id(claimed: Claimed) -> str | None:
    try:
        return str(json.loads(claimed.text)["headers"]["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
