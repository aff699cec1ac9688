"""`persqa exporter` on real servers, and a real Prometheus that looks at it and at a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
import yaml

from persqa.broker.connection import connect
from persqa.broker.keys import queue_for
from persqa.runs import Priority
from persqa.settings import Settings, load_settings
from producer import Client
from tests.support import dashboards
from tests.support.builders import write_images
from tests.support.pages import facts, free_port, page, samples
from tests.support.programs import Program, run_program
from tests.support.prometheus import MISSING, prometheus_binary
from tests.support.servers import broker_process, fresh_database, redis_binary
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.conftest import Site

_ROOT = Path(__file__).parents[2]
#: What the account of whoever only looks may do.
_READ_ONLY = (
    "reset",
    "on",
    "nopass",
    "~persqa*",
    "-@all",
    "+llen",
    "+lindex",
    "+hlen",
    "+zrange",
    "+ping",
    "+hello",
    "+client",
)


@contextmanager
def exporter(settings: Settings, folder: Path) -> Generator[int]:
    """The command as a process of its own; gives its port."""
    port = free_port()
    command = ["producer.cli", "exporter", "--port", str(port)]
    with (folder / "exporter.log").open("wb") as log:
        process = Program(command, cwd=_ROOT, env={**os.environ, **settings.environment()}, stdout=log, stderr=log)
    try:
        wait_until(lambda: page(port, "healthz")[0] == 200, describe="the exporter answers")
        yield port
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)


_ONE_SITE = pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)


@_ONE_SITE
def test_it_says_what_waits_and_how_far_the_runs_are(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    with Client(settings) as client, exporter(settings, tmp_path) as port:
        assert samples(port)['persqa_queue_messages{queue="persqa"}'] == 0
        data = write_images(tmp_path / "data", 5)
        run = client.submit(data)
        client.submit(data, run="other", model="model-b")
        other = queue_for("model-b")
        wait_until(lambda: samples(port).get(f'persqa_queue_messages{{queue="{other}"}}') == 5, describe="it sees it")
        seen = samples(port)
        assert seen['persqa_queue_messages{queue="persqa"}'] == 5
        assert seen[f'persqa_queue_messages{{queue="{queue_for("model-b", Priority.HIGH)}"}}'] == 0
        assert 0 <= seen['persqa_queue_oldest_seconds{queue="persqa"}'] < 60
        assert seen['persqa_run_items{run="records",status="pending"}'] == 5
        assert seen['persqa_up{service="broker"}'] == seen['persqa_up{service="database"}'] == 1
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=lambda _progress: None)
        wait_until(
            lambda: samples(port)['persqa_run_items{run="records",status="ok"}'] == 5, describe="it sees the end"
        )
        assert samples(port)['persqa_run_items{run="records",status="pending"}'] == 0
        site.broker.signal(signal.SIGSTOP)
        wait_until(lambda: samples(port)['persqa_up{service="broker"}'] == 0, describe="it sees that Redis is away")
        assert samples(port)['persqa_run_items{run="records",status="ok"}'] == 5
        site.broker.signal(signal.SIGCONT)
        wait_until(lambda: samples(port)['persqa_up{service="broker"}'] == 1, describe="it sees that Redis is back")
        assert facts(port, "healthz")[0] == 200
    assert (tmp_path / "exporter.log").read_text().count("the broker is away") == 1


def test_accounts_that_may_only_read_are_enough(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = request.getfixturevalue("_postgres")
    with broker_process(redis_binary()) as broker, fresh_database(server) as database:
        settings = load_settings(broker_url=broker.url, database_url=database)
        with Client(settings) as client:
            client.submit(write_images(tmp_path / "data", 3))
        with closing(connect(broker.url)) as redis:
            cast("Any", redis).execute_command("ACL", "SETUSER", "default", *_READ_ONLY)
        admin = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql("CREATE ROLE looks LOGIN")
            connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looks")
        reader = sa.make_url(database).set(username="looks").render_as_string(hide_password=False)
        with exporter(settings.model_copy(update={"database_url": reader}), tmp_path) as port:
            seen = samples(port)
            assert seen['persqa_up{service="broker"}'] == seen['persqa_up{service="database"}'] == 1
            assert seen['persqa_queue_messages{queue="persqa"}'] == 3
            assert seen['persqa_run_items{run="records",status="pending"}'] == 3
        with admin.connect() as connection:
            connection.exec_driver_sql("DROP OWNED BY looks")
            connection.exec_driver_sql("DROP ROLE looks")
        admin.dispose()


def test_it_starts_and_goes_on_with_nothing_to_look_at(tmp_path: Path) -> None:
    settings = load_settings(broker_url="redis://127.0.0.1:1/0", database_url=f"sqlite:///{tmp_path}/new.db")
    with exporter(settings, tmp_path) as port:
        seen = samples(port)
        assert seen['persqa_up{service="broker"}'] == seen['persqa_up{service="database"}'] == 0
        assert not [name for name in seen if name.startswith("persqa_queue")]


@_ONE_SITE
def test_status_says_what_waits_and_for_how_long(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        client.submit(write_images(tmp_path / "data", 5))
        environment = {**os.environ, **site.settings.environment()}
        said = json.loads(run_program("producer.cli", "status", "--json", cwd=_ROOT, env=environment).stdout)
        queues = {queue["queue"]: queue for queue in said["queues"]}
        assert queues["persqa"]["waiting"] == 5
        assert 0 <= queues["persqa"]["oldest_seconds"] < 60
        assert queues["persqa:high"] == {"queue": "persqa:high", "waiting": 0, "oldest_seconds": None}
        assert said["held"] == 0
        # Those of producers that do not say when.
        with closing(connect(site.settings.broker_url or "")) as redis:
            (entry,) = cast("list[bytes]", redis.lrange("persqa", -1, -1))
            message = json.loads(entry)
            del message["headers"]["x-enqueued-at"]
            redis.lset("persqa", -1, json.dumps(message))
        backlog = client.backlog(())
        assert backlog is not None
        assert (backlog.queues[1].queue, backlog.queues[1].waiting, backlog.queues[1].oldest_seconds) == (
            "persqa",
            5,
            None,
        )


@_ONE_SITE
def test_a_real_prometheus_has_an_answer_to_every_panel(site: Site, tmp_path: Path) -> None:
    binary = prometheus_binary()
    if binary is None:
        pytest.skip(MISSING)
    worker_port, port = free_port(), free_port()
    settings = scripted(site.settings, "second_try").model_copy(update={"metrics_port": worker_port})
    with (
        Client(settings) as client,
        exporter(settings, tmp_path) as exporter_port,
        _prometheus(binary, tmp_path, port, worker_port, exporter_port),
        WorkerProcess(settings, tmp_path) as worker,
    ):
        worker.wait_ready()
        # A counter is seen to grow only by who has looked before.
        wait_until(lambda: _ask(port, "persqa_items_total"), describe="it has looked")
        client.submit(write_images(tmp_path / "data", 50)).wait(timeout_seconds=60, display=lambda _progress: None)
        for query in dashboards.panel_queries():
            if any(name.startswith("vllm:") for name in query.names):
                # Those of vLLM are held to a real one elsewhere.
                continue
            wait_until(lambda asked=query: _ask(port, asked.expression), describe=f"{query} has data")
        wait_until(
            lambda: [one["value"][1] for one in _ask(port, 'sum(persqa_items_total{status="ok"})')] == ["50"],
            describe="it has seen all items",
        )
        for alert in dashboards.alert_queries():
            _ask(port, alert.expression)


@contextmanager
def _prometheus(binary: Path, folder: Path, port: int, worker: int, exporter: int) -> Generator[None]:
    """The server on our configuration, with addresses of this machine and less patience."""
    configuration: dict[str, Any] = yaml.safe_load(dashboards.CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms"}
    configuration["rule_files"] = [str(dashboards.ALERTS)]
    for job in configuration["scrape_configs"]:
        target = worker if job["job_name"] == "persqa-worker" else exporter
        job.pop("dns_sd_configs", None)
        job.pop("file_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    file = folder / "prometheus.yml"
    # JSON is YAML.
    file.write_text(json.dumps(configuration))
    flags = [f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([binary, *flags], stdout=log, stderr=log)
    try:
        wait_until(lambda: page(port, "-/ready")[0] == 200, describe="Prometheus is ready")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _ask(port: int, expression: str) -> list[dict[str, Any]]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]
