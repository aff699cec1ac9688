"""Who waits is told what for: a worker that starts or loads, none at all, or something that hinders it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from persqa.broker.connection import connect
from persqa.broker.keys import WORKER, WORKERS
from persqa.broker.workers import LISTED_SECONDS, WorkerInfo, Workers, live_workers
from persqa.clock import now
from persqa.errors import RunStopped
from persqa.phases import Hindrance, Phase
from persqa.results import Status
from persqa.runs import RunState
from persqa.settings import load_settings
from producer import Client
from producer.cli import status
from producer.cli.stopping import Stopping
from producer.connections import Connections
from producer.lookout import Lookout
from tests.integration.test_run_command import environment, persqa
from tests.support.builders import an_outcome, write_images
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.settings import Settings
    from producer import RunHandle
    from producer.wait_bar import News
    from tests.conftest import Site


@pytest.fixture(autouse=True)
def _ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.lookout._ASK_SECONDS", 0.0)


@pytest.fixture
def redis(broker_url: str) -> Iterator[Redis]:
    with closing(connect(broker_url)) as client:
        yield client


def a_worker(name: str, **more: object) -> WorkerInfo:
    fields: dict[str, object] = {"model": "m", "in_flight": 0, "window": 256, "phase": Phase.READY, **more}
    return WorkerInfo(name=name, since=now(), **fields)  # pyrefly: ignore[bad-argument-type]


def test_workers_are_listed_as_long_as_they_tell_of_themselves(broker_url: str, redis: Redis) -> None:
    full = Hindrance(sentence="the disk is full", since=now())
    first, second = a_worker("a@host", hindrances=(full,), phase=Phase.WEIGHTS), a_worker("b@host", ledger="1" * 16)
    with closing(Workers(broker_url)) as workers:
        for worker in (second, first):
            workers.report(worker)
        assert workers.all() == [first, second]
        assert 0 < redis.ttl(f"{WORKER}:a@host") <= LISTED_SECONDS
        # As when that time has passed.
        redis.delete(f"{WORKER}:a@host")
        assert workers.all() == [second]
        workers.tidy()
        assert redis.zcard(WORKERS) == 1
        workers.remove("b@host")
        assert (workers.all(), redis.exists(WORKERS)) == ([], 0)


def test_a_worker_of_another_version_hides_no_other(broker_url: str, redis: Redis) -> None:
    with closing(Workers(broker_url)) as workers:
        for name in ("a@host", "b@host", "c@host"):
            workers.report(a_worker(name))
        later = json.loads(redis.get(f"{WORKER}:a@host") or b"")
        redis.set(f"{WORKER}:a@host", json.dumps({**later, "mood": "good"}))
        redis.set(f"{WORKER}:b@host", json.dumps({**later, "name": "b@host", "phase": "dreaming"}))
        assert [worker.name for worker in workers.all()] == ["a@host", "c@host"]


def test_a_worker_is_seen_from_its_loading_to_its_end(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = scripted(site.settings, "reads_colour")
    loaded = tmp_path / "loaded"
    settings = settings.model_copy(update={"engine_args": {**settings.engine_args, "loads_until": str(loaded)}})
    url = settings.broker_url or ""
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 5))
        with closing(Lookout(_connections(run), run.run)) as lookout:
            assert "persqa worker" in lookout.look(run.progress()).doing
            with WorkerProcess(settings, tmp_path) as worker:
                wait_until(lambda: lookout.look(run.progress()).doing.startswith("loading"), describe="it loads")
                assert lookout.look(run.progress()).since is not None
                (found,) = live_workers(url)
                assert (found.phase, found.model, found.ledger) == (
                    Phase.LOADING,
                    "scripted",
                    client.store.ledger.id,
                )
                assert "loading the model" in _status(settings, capsys)
                loaded.touch()
                worker.wait_ready()
                run.wait(timeout_seconds=30, display=lambda _progress: None)
                wait_until(lambda: live_workers(url)[0].phase is Phase.READY, describe="it is ready")
                assert lookout.look(run.progress()).doing == ""
                worker.terminate()
                assert worker.wait() == 0
                assert live_workers(url) == []


def test_workers_of_other_models_and_databases_are_not_waited_for(
    broker_url: str, store_settings: Settings, tmp_path: Path
) -> None:
    with Client(store_settings) as client, closing(Workers(broker_url)) as workers:
        run = client.submit(write_images(tmp_path / "data", 2), model="org/mine")
        with closing(Lookout(_connections(run), run.run)) as lookout:

            def told(**more: object) -> News:
                workers.report(a_worker("worker-7@host", **more))
                return lookout.look(run.progress())

            own = client.store.ledger.id
            assert "no worker serves org/mine (they serve org/other)" in told(model="org/other", ledger=own).doing
            assert told(model="org/mine", ledger="f" * 16).doing == (
                "the workers here serve another database; the items wait for one of this database: "
                "persqa worker --image-roots DIR --model org/mine"
            )
            assert "finishing what it has begun" in told(model="org/mine", phase=Phase.STOPPING).doing
            # It may still turn out to be one of ours.
            assert "weights" in told(model="org/mine", phase=Phase.WEIGHTS).doing
            assert told(model="org/mine", ledger=own).doing == "waiting for the first answer"


def test_what_hinders_a_worker_is_told_to_who_waits_and_in_status(
    broker_url: str, store_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Hindrance(sentence="database or disk is full", since=now())
    with Client(store_settings) as client, closing(Workers(broker_url)) as workers:
        run = client.submit(write_images(tmp_path / "data", 2))
        with closing(Lookout(_connections(run), run.run)) as lookout:
            workers.report(a_worker("a@host", hindrances=(full,)))
            assert lookout.look(run.progress()).hindrances == (full,)
            workers.report(a_worker("b@host", hindrances=(full,)))
            workers.report(a_worker("c@host"))
            (said,) = lookout.look(run.progress()).hindrances
            assert said.sentence == "2 of 3 workers: database or disk is full"
            shown = _status(store_settings, capsys)
            assert "a@host: database or disk is full (0:0" in " ".join(shown.split())
            for name in ("a@host", "b@host"):
                workers.report(a_worker(name))
            assert lookout.look(run.progress()).hindrances == ()
        for name in ("a@host", "b@host", "c@host"):
            workers.remove(name)


def test_a_broker_that_is_away_is_told_and_since_when(tmp_path: Path, site: Site) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2))
        with closing(Lookout(_connections(run), run.run)) as lookout:
            assert lookout.look(run.progress()).hindrances == ()
            site.broker.kill()
            (away,) = lookout.look(run.progress()).hindrances
            assert "failed" in away.sentence
            assert lookout.look(run.progress()).hindrances == (away,)
            site.broker.start()
            assert lookout.look(run.progress()).hindrances == ()


def test_who_waits_for_the_end_of_a_worker_sees_what_is_in_the_way_and_how_long_it_may_take(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.cli.stopping._ASK_SECONDS", 0.0)
    full = Hindrance(sentence="database or disk is full", since=now())

    def shown() -> str:
        return stopping.__rich__().plain

    with closing(Workers(broker_url)) as workers:
        stopping = Stopping(broker_url, worker=12, most_seconds=90)
        assert shown() == "stopping the worker: it finishes what it has begun, 0:00 (1:30 at most)"
        workers.report(a_worker("worker-123-a@host", hindrances=(full,)))
        assert "full" not in shown(), "another one's trouble"
        workers.report(a_worker("worker-12-b@host", hindrances=(full,)))
        assert shown().endswith("\ndatabase or disk is full (0:00)")
        workers.report(a_worker("worker-12-b@host"))
        assert "full" not in shown()


def test_a_paused_run_says_how_to_go_on(store_settings: Settings, tmp_path: Path) -> None:
    with Client(store_settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2))
        run.pause()
        with closing(Lookout(_connections(run), run.run)) as lookout:
            assert lookout.look(run.progress()).doing == "paused; to go on: persqa resume records"


def test_what_is_done_is_called_so_and_cannot_be_stopped(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    done = json.loads(persqa(tmp_path, "run", str(data), "--json").stdout)
    assert 0 < done["items_per_second"] <= 3
    (facts,) = json.loads(persqa(tmp_path, "status", "--json").stdout)["runs"]
    assert (facts["state"], facts["items_per_second"], facts["seconds_left"]) == ("done", None, None)
    assert "done" in persqa(tmp_path, "status").stdout
    for command in ("pause", "cancel"):
        refused = persqa(tmp_path, command, "records")
        assert (refused.returncode, "nothing of it is pending" in " ".join(refused.stderr.split())) == (4, True)
    assert "records is done" in persqa(tmp_path, "resume", "records").stdout
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db")) as client:
        assert client.run("records").progress().state is RunState.DONE
        with pytest.raises(RunStopped):
            client.run("records").pause()


def test_what_was_stopped_when_all_had_begun_goes_on_when_it_is_asked_again(
    store_settings: Settings, tmp_path: Path
) -> None:
    with Client(store_settings) as client:
        run = client.submit([{"image": 1}, *_records(tmp_path, 1)])
        client.store.runs.set_state(run.run, RunState.PAUSED)
        item = next(client.store.ledger.pending(run.run.id))[0]
        client.store.results.commit([an_outcome(item, Status.DEAD)])
        assert run.progress().state is RunState.DONE
        assert run.requeue(Status.DEAD).taken_back == 1
        assert run.progress().state is RunState.ACTIVE


def test_each_of_two_programs_in_one_folder_has_a_log_of_its_own(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    log = tmp_path / "persqa-worker.log"
    # What starts commands takes longer than the first one's run, where it is not loaded yet.
    assert persqa(tmp_path, "--version").returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "producer.cli", "run", str(data)],
        cwd=tmp_path, env=environment(tmp_path, "slow"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        wait_until(lambda: log.exists() and log.stat().st_size, describe="the first one's worker logs")
        assert persqa(tmp_path, "run", str(data), "--run", "second").returncode == 0
        assert first.stderr is not None
        said = first.stderr.read()
    assert first.returncode == 0, said
    assert "records: starting the worker (usually" in said
    assert f"its log: {log}" in said
    other, *more = list(tmp_path.glob("persqa-worker-*.log"))
    assert not more
    assert all(path.read_text().count(" ready.") == 1 for path in (log, other))
    # Nobody holds the first one any more.
    assert persqa(tmp_path, "run", str(data), "--run", "third").returncode == 0
    assert log.read_text().count(" ready.") == 2


@pytest.fixture
def store_settings(broker_url: str, tmp_path: Path) -> Settings:
    return load_settings(broker_url=broker_url, database_url=f"sqlite:///{tmp_path}/persqa.db")


def _records(folder: Path, number: int) -> list[dict[str, object]]:
    write_images(folder / "data", number)
    return [{"image": str(path)} for path in sorted((folder / "data" / "images").iterdir())]


def _connections(run: RunHandle) -> Connections:
    return run._connections  # pyrefly: ignore[protected-access]


def _status(settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    status.command(None, broker_url=settings.broker_url, database_url=settings.database_url)
    return capsys.readouterr().out
