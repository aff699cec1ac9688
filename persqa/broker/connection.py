"""Connections to Redis or Valkey, and their failures as `BrokerUnavailable`."""

from __future__ import annotations

import hashlib
import os
import ssl
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, cast

import redis
from redis import exceptions

from persqa.broker.keys import BROKER
from persqa.errors import BrokerFull, BrokerUnavailable, SettingsError, causes
from persqa.system_errors import in_words
from persqa.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Generator

    from redis.commands.core import Script
    from redis.retry import Retry

_SOCKET = "redis+socket://"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def celery_url(url: str) -> str:
    """The URL in Celery's spelling, with the meaning it has for redis-py."""
    if url.startswith("unix://"):
        return _SOCKET + url.removeprefix("unix://")
    if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        # kombu accepts any certificate by default.
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
    return url


def connect(url: str, *, timeout_seconds: float = 15, retry: Retry | None = None) -> redis.Redis:
    """A client for a broker URL in Celery's or redis-py's spelling; it connects when first used.

    Args:
        url: the broker.
        timeout_seconds: longest wait for an answer.
        retry: what to do about lost connections; redis-py's default if None.

    Raises:
        SettingsError: the URL is not one of Redis or Valkey.
    """
    plain = "unix://" + url.removeprefix(_SOCKET).replace("virtual_host=", "db=") if url.startswith(_SOCKET) else url
    options: dict[str, object] = {} if retry is None else {"retry": retry}
    try:
        return redis.Redis.from_url(
            plain, socket_timeout=timeout_seconds, socket_connect_timeout=5, health_check_interval=10, **options
        )
    except ValueError as error:
        message = "write redis://host:6379/0 or redis+socket:///path, the address of one server"
        raise SettingsError(f"the broker {without_password(url)} cannot be used ({error}): {message}") from None


@contextmanager
def translated(url: str) -> Generator[None]:
    """Raise BrokerUnavailable where the server does not answer, or refuses; BrokerFull where its memory is full.

    A node of a Cluster is no outage but a SettingsError, since nothing mends it by itself.
    """
    try:
        yield
    except (exceptions.MovedError, exceptions.ClusterCrossSlotError, exceptions.ClusterDownError) as error:
        raise SettingsError(_in_a_cluster(url)) from error
    except exceptions.OutOfMemoryError as error:
        raise BrokerFull(f"Redis at {without_password(url)} is full: {error}") from error
    except redis.RedisError as error:
        raise BrokerUnavailable(f"Redis at {without_password(url)} failed: {_why(error)}") from error


def _why(error: redis.RedisError) -> object:
    """In words, where the system has answered, and neither Redis nor what encrypts, whose numbers are its own."""
    found = next((cause for cause in causes(error) if isinstance(cause, OSError) and cause.errno), None)
    return error if found is None or isinstance(found, ssl.SSLError) else in_words(found)


def _in_a_cluster(url: str) -> str:
    return (
        f"the broker {without_password(url)} is a node of a Redis Cluster, which keeps queue and leases on different "
        "nodes: use a single Redis or Valkey"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server tells of itself; None for what it does not tell this account.

    Attributes:
        policy: its `maxmemory-policy`.
        appends: whether it is known to write every change to disk.
    """

    version: str | None
    policy: str | None
    appends: bool

    @property
    def evicts(self) -> str | None:
        """What is wrong with the policy, and what to do; None where nothing is."""
        if self.policy in (None, "noeviction"):
            return None
        return (
            f"maxmemory-policy is {self.policy}: when its memory is full, messages vanish and are asked again later; "
            "set noeviction"
        )


def ask_server(url: str, *, timeout_seconds: float = 15, retry: Retry | None = None) -> Server:
    """Ask the server what it is.

    Args:
        url: the broker.
        timeout_seconds: longest wait for an answer.
        retry: as for `connect`.

    Raises:
        SettingsError: it is one that PersQA cannot use, or it refuses the password.
        BrokerUnavailable: it does not answer.
    """
    try:
        with translated(url), closing(connect(url, timeout_seconds=timeout_seconds, retry=retry)) as client:
            told = _info(client)
    except BrokerUnavailable as error:
        if isinstance(error.__cause__, exceptions.AuthenticationError):
            raise SettingsError(
                f"Redis at {without_password(url)} lets nobody in this way: {error.__cause__}"
            ) from None
        raise
    if told.get("cluster_enabled") == 1:
        raise SettingsError(_in_a_cluster(url))
    if "sentinel" in (told.get("redis_mode"), told.get("server_mode")):
        raise SettingsError(
            f"the broker {without_password(url)} is a Sentinel, which has no queues: "
            "name the server it watches, by an address that leads to the new one after a failover"
        )
    return Server(
        version=cast("str | None", told.get("valkey_version", told.get("redis_version"))),
        policy=cast("str | None", told.get("maxmemory_policy")),
        appends=cast("int | None", told.get("aof_enabled")) == 1,
    )


def _info(client: redis.Redis) -> dict[str, object]:
    try:
        return cast("dict[str, object]", client.info())
    except exceptions.ResponseError:
        # This account may not ask, or nobody may.
        return {}


def script(client: redis.Redis, name: str) -> Script:
    """A script of `lua/`; the server runs it in one step."""
    return client.register_script(resources.files("persqa.broker").joinpath("lua", f"{name}.lua").read_text("utf-8"))


def place_digest(url: str) -> str:
    """The identity that a broker gets that is first found at this URL; nothing is connected."""
    with closing(connect(url)) as client:
        return _place_digest(client)


def _place_digest(client: redis.Redis) -> str:
    options = cast("dict[str, object]", client.connection_pool.connection_kwargs)
    host = str(options.get("host", ""))
    # Another machine may have a broker at the same place.
    machine = "" if host and host not in _LOOPBACK else os.uname().nodename
    place = (machine, host, options.get("port"), options.get("path"), options.get("db", 0))
    return hashlib.blake2b(repr(place).encode(), digest_size=8).hexdigest()


class BrokerClient:
    """One connection; it is opened when first used.

    Every method raises `BrokerUnavailable` where Redis does not answer, and may then be called again.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 15, retry: Retry | None = None) -> None:
        """Take what `connect` takes, and raise what it raises."""
        self.url = url
        self._redis = connect(url, timeout_seconds=timeout_seconds, retry=retry)

    def identity(self) -> str:
        """The broker's identity, the same by whatever name it is reached: 16 hexadecimal digits.

        It follows from the place where the broker was first found, so a server that has lost everything gets it again.
        """
        # Asked first, because a server whose memory is full takes nothing.
        if (found := self.known_identity()) is None:
            with translated(self.url):
                self._redis.set(BROKER, _place_digest(self._redis), nx=True)
            found = self.known_identity()
        return _place_digest(self._redis) if found is None else found

    def known_identity(self) -> str | None:
        """The broker's identity, if anybody has ever needed it; for those who only look."""
        with translated(self.url):
            found = cast("bytes | None", self._redis.get(BROKER))
        return None if found is None else found.decode()

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
