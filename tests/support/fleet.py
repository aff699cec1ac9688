"""The servers that a fleet needs, under the accounts that docker-compose.yml gives its services."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from redis import Redis

from persqa.broker.connection import connect
from tests.support.compose import environment_of
from tests.support.guarded import (
    ROOT,
    Guarded,
    guarded_broker,
)
from tests.support.programs import run_program


@dataclass(frozen=True, slots=True)
class Fleet:
    """A broker, a database with its tables, and where it all is."""

    folder: Path
    broker: Guarded
    database: Guarded

    def environment(self, service: str, account: str | None, role: str) -> dict[str, str]:
        """That of a service, with the addresses of these servers and the passwords as variables."""
        given = environment_of(service)
        for name in ("PERSQA_BROKER_URL", "PERSQA_DATABASE_URL"):
            if name in given:
                given[name] = (
                    given[name]
                    .replace("redis:6379", f"127.0.0.1:{self.broker.port}")
                    .replace("postgres:5432", f"127.0.0.1:{self.database.port}")
                )
        if account is not None:
            given["PERSQA_BROKER_PASSWORD"] = self.broker.password(f"redis_{account}")
        given["PERSQA_DATABASE_PASSWORD"] = self.database.password(f"postgres_{role}")
        given |= {"PERSQA_IMAGE_ROOTS": str(self.folder), "PERSQA_BLOB_STORE": str(self.folder / "blobs")}
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PERSQA_")}
        return {**ours, **given, "PYTHONPATH": str(ROOT)}

    def persqa(self, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, as a person types it."""
        return run_program("producer.cli", *arguments, env=environment, cwd=self.folder)

    def redis(self, account: str) -> Redis:
        """A connection of that account."""
        return connect(self.url(account))

    def url(self, account: str) -> str:
        """The broker's, for that account."""
        password = self.broker.password(f"redis_{account}")
        return f"{self.broker.scheme}://{account}:{password}@127.0.0.1:{self.broker.port}/0"

    def sql(self, role: str) -> psycopg.Connection:
        """A connection of that role."""
        password = self.database.password(f"postgres_{role}")
        user = "postgres" if role == "superuser" else f"persqa_{role}"
        return psycopg.connect(
            host="127.0.0.1", port=self.database.port, user=user, password=password, dbname="persqa", autocommit=True
        )


@contextmanager
def fleet_with(server: Path, database: Guarded, folder: Path) -> Generator[Fleet]:
    with guarded_broker(server, database.secrets) as broker:
        yield Fleet(folder, broker, database)
