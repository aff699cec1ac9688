"""`persqa doctor`: checks what is installed, reachable and configured."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata

import typer

from persqa.blobs import BlobStore, open_file_system
from persqa.broker.connection import ask_server
from persqa.errors import NoDatabase, PersqaError, SettingsError
from persqa.lenient import lenient_settings
from persqa.models import INSTALL_ENGINE, engine_version
from persqa.settings import Settings
from persqa.store import Store
from persqa.urls import without_password
from persqa.words import counted
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, table

# Older versions can corrupt a WAL database that several connections write and checkpoint.
_SQLITE_FIXED = (3, 51, 3)
_GPU_SECONDS = 20


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    subject: str
    level: Level
    text: str


@expanded
def command(*, where: options.Where, as_json: options.AsJson = False) -> None:
    """Check what is installed, reachable and set.

    It looks at Python, vLLM, the GPU, the broker, the database, and where images may come from and go to. Exit code 1
    says that something is broken.

    Examples:
        persqa doctor
        persqa doctor --broker-url redis://localhost:6379/0
    """
    findings = list(_findings(where))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        styles = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILURE: "red"}
        shown = table(["what", "", "finding"], keys=["what", ""])
        for finding in findings:
            shown.add_row(finding.subject, f"[{styles[finding.level]}]{finding.level}[/]", plain(finding.text))
        console.print(shown)
    if any(finding.level is Level.FAILURE for finding in findings):
        raise typer.Exit(1)


def _findings(where: options.Where) -> Iterator[Finding]:
    yield from _python()
    settings, wrong = lenient_settings(**asdict(where))
    for sentence in wrong.values():
        yield Finding("settings", Level.FAILURE, sentence)
    for check, names in _CHECKS.items():
        # Of what is wrong nobody knows what was meant; all else can be looked at.
        if settings is not None and wrong.keys().isdisjoint(names):
            yield from check(settings)


def _python() -> Iterator[Finding]:
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("persqa", "celery", "kombu", "sqlalchemy"))
    yield Finding("python", Level.OK, f"{sys.version.split()[0]}, {packages}")


def _engine(settings: Settings) -> Iterator[Finding]:
    if engine := engine_version():
        yield Finding("engine", Level.OK, engine)
    else:
        yield Finding(
            "engine",
            Level.WARNING,
            f"vLLM is not installed, so this machine can submit, but not answer: {INSTALL_ENGINE}",
        )
    yield Finding("model", Level.OK, settings.model or "none named: the default for the machine")


def _gpu(_settings: Settings) -> Iterator[Finding]:
    program = shutil.which("nvidia-smi")
    if program is None:
        yield Finding("gpu", Level.OK, "none; vLLM uses the CPU")
        return
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=_GPU_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("gpu", Level.WARNING, f"nvidia-smi failed: {error}")
        return
    lines = answer.stdout.splitlines()
    for line in lines:
        yield Finding("gpu", Level.OK, line)
    if len(lines) > 1:
        yield Finding("gpu", Level.OK, f"{len(lines)} of them: `persqa worker --gpus all` starts one worker for each")


def _broker(settings: Settings) -> Iterator[Finding]:
    if (url := settings.broker_url) is None:
        text = "none named: `persqa run` brings its own, `submit` and `worker` need --broker-url or PERSQA_BROKER_URL"
        yield Finding("broker", Level.OK, text)
        return
    try:
        server = ask_server(url)
    except PersqaError as error:
        yield Finding("broker", Level.FAILURE, str(error))
        return
    yield Finding("broker", Level.OK, f"{without_password(url)}, version {server.version}")
    if server.evicts is not None:
        yield Finding("broker", Level.FAILURE, server.evicts)
    if not server.appends:
        text = "appendonly is off: what a restart of Redis forgets is enqueued again from the ledger, some time later"
        yield Finding("broker", Level.WARNING, text)


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with closing(Store.look(settings.database_url)) as store:
            yield from _look_at(store, settings)
    except PersqaError as error:
        yield Finding("database", Level.FAILURE, str(error))
        return
    if settings.database_url.startswith("sqlite") and sqlite3.sqlite_version_info < _SQLITE_FIXED:
        text = f"SQLite {sqlite3.sqlite_version}: fine for one worker; with several, use PostgreSQL"
        yield Finding("database", Level.WARNING, text)


def _look_at(store: Store, settings: Settings) -> Iterator[Finding]:
    try:
        runs = len(store.runs.all())
    except NoDatabase as error:
        # Whoever names one expects it to be there.
        named = settings.database_url != Settings.model_fields["database_url"].default
        yield Finding("database", Level.WARNING if named else Level.OK, str(error))
    else:
        yield Finding("database", Level.OK, f"{without_password(settings.database_url)}, {counted(runs, 'run')}")
    try:
        store.refuse_unwritable()
    except SettingsError as error:
        yield Finding("database", Level.WARNING, str(error))


def _images(settings: Settings) -> Iterator[Finding]:
    for root in settings.image_roots:
        level = Level.OK if root.is_dir() else Level.FAILURE
        yield Finding("images", level, f"root {root}" + ("" if level is Level.OK else " is not a folder"))
    if not settings.image_roots and settings.broker_url is None:
        yield Finding("images", Level.OK, "read from the folder of each run's input (PERSQA_IMAGE_ROOTS)")
    elif not settings.image_roots:
        text = "PERSQA_IMAGE_ROOTS is not set: this machine can submit, but `persqa worker` needs it to read images"
        yield Finding("images", Level.WARNING, text)
    hosts = ", ".join(settings.image_hosts) or "none, so no URL is fetched"
    yield Finding("images", Level.OK, f"hosts: {hosts} (PERSQA_IMAGE_HOSTS)")
    if settings.image_allow_private:
        text = "PERSQA_IMAGE_ALLOW_PRIVATE: whoever writes records can make workers ask servers of private networks"
        yield Finding("images", Level.WARNING, text)


def _stores(settings: Settings) -> Iterator[Finding]:
    for prefix in settings.image_stores:
        yield _usable("images", f"store {prefix}", partial(open_file_system, prefix, what="the image store"))
    shown = f"image bytes go to {without_password(settings.blob_store)} (PERSQA_BLOB_STORE)"
    yield _usable("blobs", shown, partial(BlobStore, settings.blob_store))


#: All checks, each with the settings that it is about.
_CHECKS: dict[Callable[[Settings], Iterator[Finding]], tuple[str, ...]] = {
    _engine: ("model",),
    _gpu: (),
    _broker: ("broker_url", "broker_password"),
    _database: ("database_url", "database_password"),
    _images: ("image_roots", "image_hosts", "image_allow_private"),
    _stores: ("image_stores", "blob_store"),
}


def _usable(subject: str, text: str, prepare: Callable[[], object]) -> Finding:
    try:
        prepare()
    except SettingsError as error:
        return Finding(subject, Level.FAILURE, str(error))
    return Finding(subject, Level.OK, text)
