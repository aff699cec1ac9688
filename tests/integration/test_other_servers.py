"""A Cluster and a Sentinel are refused in a sentence; a failover at one address is lived through."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from persqa.broker.connection import ask_server, connect
from persqa.broker.keys import HELD, QUEUE
from persqa.broker.leases import Leases
from persqa.errors import SettingsError
from persqa.settings import load_settings
from producer import Client
from tests.support.builders import write_images
from tests.support.clocks import publish
from tests.support.pages import free_port
from tests.support.programs import run_program
from tests.support.servers import BrokerProcess, broker_process, redis_binary, valkey_binary
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted
from worker.leases.keeper import Consumer, LeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Generator

    from persqa.settings import Settings

_SLOTS = 16_384
_BINARIES = pytest.mark.parametrize("binary", [valkey_binary(), redis_binary()], ids=["valkey", "redis"])


@pytest.fixture(params=[valkey_binary(), redis_binary()], ids=["valkey", "redis"])
def cluster(request: pytest.FixtureRequest) -> Generator[BrokerProcess]:
    """A Cluster of one node, which has all keys."""
    # Its nodes talk at a port that is 10,000 higher.
    options = ("--port", str(free_port() % 20_000 + 20_000), "--cluster-enabled", "yes")
    with broker_process(request.param, *options) as broker:
        with closing(connect(broker.url)) as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(_SLOTS))
            wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), describe="it is up")  # pyrefly: ignore[not-iterable]
        yield broker


@pytest.fixture(params=[valkey_binary(), redis_binary()], ids=["valkey", "redis"])
def sentinel(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """A Sentinel; gives its URL."""
    port, configuration = free_port(), tmp_path / "sentinel.conf"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    with (tmp_path / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([request.param, configuration, "--sentinel"], stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        with closing(connect(url)) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    try:
        wait_until(answers, describe="the Sentinel answers")
        yield url
    finally:
        process.kill()
        process.wait()


def _settings(folder: Path, broker: str) -> Settings:
    return scripted(load_settings(broker_url=broker, database_url=f"sqlite:///{folder}/persqa.db"), "compliant")


def _refused(settings: Settings, folder: Path, sentence: str) -> None:
    """Whoever needs the broker says so at once, and ends as at a wrong setting."""
    data = write_images(folder / "data", 2)
    with Client(settings) as client, pytest.raises(SettingsError, match=sentence):
        client.submit(data)
    with WorkerProcess(settings, folder) as worker:
        assert worker.wait() == 2
        assert sentence in worker.text()
    ended = run_program("producer.cli", "doctor", env={**os.environ, **settings.environment()}, cwd=folder)
    assert ended.returncode == 1
    assert sentence in " ".join(ended.stdout.split())


def test_a_cluster_is_refused_in_a_sentence(cluster: BrokerProcess, tmp_path: Path) -> None:
    _refused(_settings(tmp_path, cluster.url), tmp_path, "use a single Redis or Valkey")
    with closing(Leases(cluster.url, worker="w", seconds=30)) as leases:
        for step in (lambda: leases.claim([QUEUE], 1), leases.expire, lambda: leases.settle(["x"])):
            with pytest.raises(SettingsError, match="is a node of a Redis Cluster"):
                step()


def test_a_sentinel_is_refused_in_a_sentence(sentinel: str, tmp_path: Path) -> None:
    _refused(_settings(tmp_path, sentinel), tmp_path, "name the server it watches")


@pytest.mark.parametrize("scheme", ["sentinel", "redis+sentinel", "redis+cluster"])
def test_an_address_of_several_servers_is_refused(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://127.0.0.1:26379/0"
    with pytest.raises(SettingsError, match="the address of one server"):
        _settings(tmp_path, url)
    for program, code in (("worker", 2), ("producer.cli", 1)):
        ended = run_program(program, "doctor", env={**os.environ, "PERSQA_BROKER_URL": url}, cwd=tmp_path)
        assert ended.returncode == code
        assert "the address of one server" in " ".join((ended.stdout + ended.stderr).split())
        assert "Traceback" not in ended.stderr


def test_a_worker_says_that_its_broker_would_drop_messages(tmp_path: Path) -> None:
    with broker_process(valkey_binary(), "--maxmemory-policy", "allkeys-lru") as broker:
        with WorkerProcess(_settings(tmp_path, broker.url), tmp_path) as worker:
            worker.wait_ready()
            assert "maxmemory-policy is allkeys-lru" in worker.text()
            assert "set noeviction" in worker.text()
        with closing(connect(broker.url)) as client:
            client.execute_command("ACL", "SETUSER", "default", "-config", "-info")
        assert ask_server(broker.url).evicts is None, "who may not ask is told nothing"


@_BINARIES
def test_a_keeper_follows_its_address_to_the_new_primary(binary: Path, tmp_path: Path) -> None:
    address = tmp_path / "address"
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(broker_process(binary, "--port", str(port), "--bind", "127.0.0.1")) for port in ports
        )
        of_old, of_new = (stack.enter_context(closing(connect(broker.url))) for broker in (old, new))
        of_new.replicaof("127.0.0.1", ports[0])
        address.symlink_to(old.socket)
        keeper = LeaseKeeper(Leases(f"redis+socket://{address}", worker="w:1", seconds=2), lease_seconds=2)
        keeper.attach(Consumer(queues=[QUEUE], room=lambda: 256, deliver=lambda _claimed: None))
        stack.callback(keeper.close)
        publish(of_old, "abcde")
        wait_until(lambda: of_new.hlen(HELD) == keeper.held == 5, describe="what it holds is known to the replica")
        of_new.replicaof("NO", "ONE")
        of_old.replicaof("127.0.0.1", ports[1])
        (tmp_path / "next").symlink_to(new.socket)
        (tmp_path / "next").replace(address)
        publish(of_new, "fghij")
        wait_until(lambda: keeper.held == 10, describe="it claims from the new primary")
        assert of_new.hlen(HELD) == 10
        keeper.close()
        assert of_new.llen(QUEUE) == 10
