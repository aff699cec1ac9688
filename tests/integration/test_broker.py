"""Publishing and looking into the queue, on Valkey and on Redis."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, cast

import pytest
from celery import Celery
from redis import Redis

from persqa.broker.connection import celery_url, connect
from persqa.broker.depth import Inspector
from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES, QUEUE, queue_for
from persqa.broker.leases import Leases
from persqa.broker.publisher import Publisher
from persqa.errors import BrokerUnavailable, SettingsError
from persqa.messages import TASK_NAME, item_messages, task_id
from persqa.runs import RunId
from tests.support.builders import LEDGER, a_run, an_item
from tests.support.servers import broker_process, valkey_binary
from tests.support.wait import spend, wait_until
from worker.leases.claiming import Consumer
from worker.leases.keeper import LeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BATCH = [an_item(RunId(1), index) for index in range(2500)]


def publish(url: str, *, items: Iterable[Any] = BATCH) -> None:
    publisher = Publisher(url, ledger=LEDGER, queue_bound=10_000)
    publisher.push(QUEUE, publisher.entries(list(items), a_run(), QUEUE))
    publisher.close()


def test_a_published_message_is_what_celery_itself_would_send(broker_url: str) -> None:
    item = BATCH[0]
    publish(broker_url, items=[item])
    app = Celery("peer", broker=celery_url(broker_url), set_as_current=False)
    app.send_task(
        TASK_NAME,
        args=tuple(map(json.loads, item_messages([item], a_run(), ledger=LEDGER))),
        task_id=task_id(LEDGER, item.id),
        queue="peer",
        ignore_result=True,
    )
    client = connect(broker_url)
    ours, theirs = (json.loads(cast("bytes", client.lindex(name, 0))) for name in (QUEUE, "peer"))
    client.close()
    app.close()
    # All that is added: when it was enqueued.
    assert 0 <= time.time() - ours["headers"].pop("x-enqueued-at") < 60
    assert ours["body"] == theirs["body"]
    assert ours.keys() == theirs.keys()
    for part in ("headers", "properties"):
        assert ours[part].keys() == theirs[part].keys()
    # Display text, who sent it, and what is new for every message; all else must be the same.
    for message in (ours, theirs):
        for name in ("argsrepr", "origin"):
            del message["headers"][name]
        for name in ("delivery_tag", "reply_to", "delivery_info"):
            del message["properties"][name]
    assert ours == theirs


def test_a_stock_celery_consumer_reads_what_was_published(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:3])
    app = Celery("peer", broker=celery_url(broker_url), set_as_current=False)
    with app.connection_for_read() as connection, connection.SimpleQueue(QUEUE) as queue:
        read: list[int] = []
        for _ in range(3):
            message = queue.get(timeout=5)
            read.append(message.payload[0][0]["item"])
            message.ack()
    app.close()
    assert read == [item.id for item in BATCH[:3]]


def test_what_was_enqueued_first_is_taken_first(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:2])
    client = connect(broker_url)
    taken = json.loads(cast("bytes", client.rpop(QUEUE)))
    client.close()
    assert taken["headers"]["id"] == task_id(LEDGER, BATCH[0].id)


def test_the_inspector_counts_and_names_what_waits(broker_url: str) -> None:
    publish(broker_url)
    inspector = Inspector(broker_url)
    assert inspector.depth(QUEUE).waiting == 2500
    foreign = ["no JSON", b"\xff\x00", "[]", "[" * 9_000]
    connect(broker_url).lpush(QUEUE, *foreign)
    assert inspector.task_ids(QUEUE) == {task_id(LEDGER, item.id) for item in BATCH}
    assert inspector.task_ids(queue_for("other")) == set()
    inspector.close()


def test_the_inspector_overlooks_nothing_that_moves_meanwhile(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(broker_url)
    leases = Leases(broker_url, worker="one:1", seconds=30)
    inspector = Inspector(broker_url)
    look: Callable[..., object] = Redis.lrange

    def look_and_move(*arguments: Any) -> object:
        seen = look(*arguments)
        leases.claim([QUEUE], 300)
        publish(broker_url, items=[an_item(RunId(2), 0)])
        return seen

    monkeypatch.setattr(Redis, "lrange", look_and_move)
    assert inspector.task_ids(QUEUE) >= {task_id(LEDGER, item.id) for item in BATCH}
    leases.close()
    inspector.close()


def test_what_is_put_back_in_order_is_as_if_nobody_had_taken_it(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:1])
    leases = Leases(broker_url, worker="one:1", seconds=0.001)
    client = connect(broker_url)
    for _ in range(3):
        (claimed,) = leases.claim([QUEUE], 9)
        assert claimed.count == 1
        leases.put_back([claimed.tag], count=False)
    assert client.llen(QUEUE) == 1
    assert client.exists(HELD, LEASES, COUNTS) == 0
    # Of a worker that is gone it is told.
    (claimed,) = leases.claim([QUEUE], 9)
    assert wait_until(leases.expire, describe="the lease has run out") == [claimed.tag]
    (claimed,) = leases.claim([QUEUE], 9)
    assert claimed.count == 2
    leases.settle([claimed.tag])
    assert client.exists(QUEUE, HELD, LEASES, COUNTS, HISTORIES) == 0
    leases.close()
    client.close()


def test_what_another_has_taken_over_is_not_put_back_by_the_former_holder(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:1])
    slow = Leases(broker_url, worker="slow:1", seconds=0.001)
    other = Leases(broker_url, worker="other:2", seconds=30)
    (claimed,) = slow.claim([QUEUE], 9)
    wait_until(other.expire, describe="the lease has run out")
    (again,) = other.claim([QUEUE], 9)
    assert slow.put_back([claimed.tag], count=False) == 0
    assert other.claim([QUEUE], 9) == []
    assert other.put_back([again.tag], count=False) == 1
    slow.close()
    other.close()


def test_a_message_under_suspicion_tells_who_had_it_before(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:1])
    for number in (1, 2):
        leases = Leases(broker_url, worker=f"host:{number}", seconds=0.001)
        leases.claim([QUEUE], 9)
        wait_until(leases.expire, describe="the lease has run out")
        leases.close()
    leases = Leases(broker_url, worker="host:3", seconds=30)
    (claimed,) = leases.claim([QUEUE], 9)
    assert claimed.count == 3
    assert [holder.split()[0] for holder in claimed.history] == ["host:1", "host:2"]
    leases.close()


def test_with_a_full_server_all_that_a_worker_has_to_say_is_still_taken(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:3])
    client = connect(broker_url)
    leases = Leases(broker_url, worker="one:1", seconds=0.001)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    one, two, three = (claimed.tag for claimed in leases.claim([QUEUE], 3))
    leases.renew([one])
    leases.count(one, 3)
    leases.settle([one])
    leases.put_back([two], count=True)
    assert wait_until(leases.expire, describe="the lease has run out") == [three]
    assert client.llen(QUEUE) == 2
    client.config_set("maxmemory", 0)
    leases.close()
    client.close()


def test_a_queue_has_room_up_to_its_bound_and_an_empty_one_for_any_batch(broker_url: str) -> None:
    with closing(Publisher(broker_url, ledger=LEDGER, queue_bound=10)) as publisher:
        assert publisher.has_room(QUEUE, 2500)
        publish(broker_url, items=BATCH[:8])
        assert [publisher.has_room(QUEUE, number) for number in (1, 2, 3, 11)] == [True, True, False, False]
        assert publisher.has_room(queue_for("other"), 11)


def test_a_full_server_is_told_clearly_and_nothing_is_half_done(broker_url: str) -> None:
    client = connect(broker_url)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")
    with pytest.raises(BrokerUnavailable, match="maxmemory"):
        publish(broker_url)
    client.config_set("maxmemory", "0")
    assert client.llen(QUEUE) == 0
    client.close()


def test_an_unreachable_server_is_an_outage_and_the_password_is_not_shown() -> None:
    with pytest.raises(BrokerUnavailable) as caught:
        publish("redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)


def test_a_wrong_url_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"the broker amqp://localhost cannot be used .*: write redis://"):
        connect("amqp://localhost")


def test_workers_share_a_short_queue(broker_url: str) -> None:
    publish(broker_url, items=BATCH[:400])
    keepers = [LeaseKeeper(Leases(broker_url, worker=f"w{n}", seconds=30), lease_seconds=30) for n in range(4)]
    for keeper in keepers:
        keeper.attach(Consumer(queues=[QUEUE], room=lambda: 256, deliver=lambda _claimed: None))
    try:
        wait_until(lambda: sum(keeper.held for keeper in keepers) == 400, describe="all is in somebody's hands")
        # Left to itself the first one would have 256.
        assert max(keeper.held for keeper in keepers) <= 160, [keeper.held for keeper in keepers]
    finally:
        for keeper in keepers:
            keeper.close()


def test_no_lease_is_taken_for_lost_while_nobody_could_renew_it() -> None:
    with broker_process(valkey_binary()) as broker, ExitStack() as stack:
        publish(broker.url, items=BATCH[:1])
        other = stack.enter_context(closing(Leases(broker.url, worker="other:1", seconds=2)))
        (held,) = other.claim([QUEUE], 1)
        leases = Leases(broker.url, worker="w:1", seconds=2)
        keeper = stack.enter_context(closing(LeaseKeeper(leases, lease_seconds=2)))
        keeper.attach(Consumer(queues=[QUEUE], room=lambda: 1, deliver=lambda _claimed: None))
        broker.signal(signal.SIGSTOP)
        # Longer than a lease, and not so long that a call fails.
        spend(3)
        broker.signal(signal.SIGCONT)
        spend(0.5)
        assert keeper.held == 0
        assert other.renew([held.tag]) == 1
