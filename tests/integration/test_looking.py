"""Who only looks at a SQLite database makes and changes no file, and is told at once where there is none."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from persqa.errors import NoDatabase, SettingsError
from persqa.settings import load_settings
from persqa.store import Store
from persqa.store.database import Database
from producer import Client
from producer.fleet_metrics import FleetMetrics
from tests.support.builders import a_stored_run, an_outcome
from tests.support.looking import a_database, bound, contents, typed, typed_read_only, unwritable
from tests.support.wait import wait_until

_LOOKS = (
    ("status",),
    ("status", "r", "--json"),
    ("results", "r"),
    ("results", "r", "--violations"),
    ("export", "r", "out.jsonl"),
    ("audit",),
    ("migrate", "--check"),
)
_WRITES = (
    ("priority", "r", "high"),
    ("requeue", "r", "--status", "dead"),
    ("run", "in.jsonl"),
    ("delete", "r", "--yes"),
)
_STATES = pytest.mark.parametrize("state", ["closed", "in use", "killed", "snapshot"])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "sqlite:///persqa.db",
            "there is no database at {here}/persqa.db: `persqa run INPUT --database-url sqlite:///persqa.db` makes one",
        ),
        ("sqlite:///no/such/x.db", "there is no folder {here}/no/such for the database x.db"),
        ("sqlite:///empty.db", "{here}/empty.db is empty"),
        ("sqlite:///text.db", "{here}/text.db is no SQLite database"),
        ("sqlite:///text.db/x.db", "there is no folder {here}/text.db for the database x.db"),
        ("sqlite:///other.db", "{here}/other.db is another program's, with tables such as bookmarks"),
        ("sqlite:///folder", "{here}/folder is a folder: name a file in it, as in sqlite:///{here}/folder/persqa.db"),
        ("sqlite:///pipe", "{here}/pipe is no file"),
        ("sqlite:///gone.db", "there is no database at {here}/gone.db"),
        (
            "mysql://a:geheim@b/c",
            "use sqlite:///file.db or postgresql://user@host/name, not 'mysql://a:***@b/c'",
        ),
        ("sqlite:///file:persqa.db?uri=true", "use sqlite:///file.db or postgresql://user@host/name, not"),
    ],
)
def test_where_there_is_nothing_to_see_one_is_told_at_once_and_nothing_is_made(
    here: Path, url: str, words: str
) -> None:
    (here / "empty.db").touch()
    (here / "text.db").write_text("no database\n" * 1000)
    (here / "folder").mkdir()
    (here / "gone.db").symlink_to("nowhere")
    os.mkfifo(here / "pipe")
    with closing(sqlite3.connect("other.db")) as other:
        other.execute("CREATE TABLE bookmarks (id)")
    before = names(here), (here / "other.db").read_bytes()
    for look in _LOOKS:
        answer = typed(*look, "--database-url", url)
        assert words.format(here=here) in answer.error, answer
        assert (answer.code, answer.at_once) == (2, True), answer
    doctor = typed("doctor", "--json", "--database-url", url)
    assert words.format(here=here) in doctor.out
    assert before == (names(here), (here / "other.db").read_bytes())


def test_what_is_no_database_is_not_written_to_either(here: Path) -> None:
    (here / "text.db").write_text("no database\n" * 1000)
    with closing(sqlite3.connect("other.db")) as other:
        other.execute("CREATE TABLE bookmarks (id)")
    before = contents(here)
    for name, words in (("text", "is no SQLite database"), ("other", "is another program's"), ("no/x", "no folder")):
        for write in (("run", "in.jsonl"), ("migrate",)):
            (here / "in.jsonl").write_text('{"image": "a.png"}\n')
            answer = typed(*write, "--database-url", f"sqlite:///{name}.db")
            assert words in answer.error, answer
            assert (answer.code, answer.at_once) == (2, True), answer
            (here / "in.jsonl").unlink()
            assert contents(here) == before


@_STATES
def test_a_look_sees_all_and_changes_nothing(here: Path, state: str) -> None:
    with a_database(here, state) as folder:
        url, before = f"sqlite:///{folder}/persqa.db", contents(folder)
        assert ("persqa.db-wal" in before, "persqa.db-shm" in before) == (
            state != "closed",
            state in {"in use", "killed"},
        )
        for look in _LOOKS:
            answer = typed(*look, "--database-url", url)
            assert (answer.code, answer.error) == (0, ""), answer
        assert json.loads(typed("audit", "--json", "--database-url", url).out)[0]["ok"] == 2
        assert contents(folder) == before


@_STATES
def test_a_look_needs_no_right_to_write(here: Path, state: str) -> None:
    with a_database(here, state) as folder, unwritable(folder), bound():
        before, named = contents(folder), ("--database-url", f"sqlite:///{folder}/persqa.db")
        for look in _LOOKS:
            answer = typed(*look, *named)
            assert (answer.code, answer.error) == (0, ""), answer
        assert json.loads(typed("status", "r", "--json", *named).out)["runs"][0]["ok"] == 2
        assert "can only be looked at: this user may not write" in typed("doctor", "--json", *named).out
        assert contents(folder) == before


def test_who_may_not_write_is_told_at_once(here: Path) -> None:
    (here / "in.jsonl").write_text('{"image": "a.png"}\n')
    with a_database(here, "closed") as folder, bound():
        named = ("--database-url", f"sqlite:///{folder}/persqa.db")
        (folder / "persqa.db").chmod(0o444)
        for write in _WRITES:
            answer = typed(*write, *named)
            assert f"can only be looked at: this user may not write the file {folder}/persqa.db" in answer.error
            assert (answer.code, answer.at_once) == (2, True), answer
        folder.chmod(0o555)
        for write in _WRITES:
            answer = typed(*write, *named)
            assert f"can only be looked at: this user may not write the folder {folder}" in answer.error
            assert (answer.code, answer.at_once) == (2, True), answer
        new = typed("run", "in.jsonl", "--database-url", f"sqlite:///{folder}/new.db")
        assert f"no database can be made at {folder}/new.db: this user may not write the folder" in new.error
        assert (new.code, new.at_once) == (2, True), new
        folder.chmod(0o755)


def test_who_may_not_read_is_told_which_file(here: Path) -> None:
    with a_database(here, "killed") as folder, bound():
        named = ("--database-url", f"sqlite:///{folder}/persqa.db")
        for name in ("persqa.db", "persqa.db-wal", "persqa.db-shm"):
            (folder / name).chmod(0)
            for command in ("status", "migrate"):
                answer = typed(command, *named)
                assert f"this user may not read {folder}/{name}" in answer.error, answer
                assert answer.code == 2
            (folder / name).chmod(0o644)
        folder.chmod(0)
        for command in ("status", "migrate"):
            answer = typed(command, *named)
            assert f"the database {folder}/persqa.db cannot be reached: this user may not do that" in answer.error
        folder.chmod(0o755)


def test_a_file_system_may_be_mounted_read_only(here: Path) -> None:
    states = ("closed", "in use", "killed", "snapshot")
    with ExitStack() as stack:
        named: list[tuple[str, str]] = []
        for state in states:
            (here / state).mkdir()
            folder = stack.enter_context(a_database(here / state, state))
            named.append(("--database-url", f"sqlite:///{folder}/persqa.db"))
        looks = [(*look, *where) for where in named for look in (("status", "r", "--json"), ("audit",))]
        *seen, refused = typed_read_only(*looks, ("priority", "r", "high", *named[0]), folder=here)
    assert [(answer.code, answer.error) for answer in seen] == [(0, "")] * len(looks)
    assert [json.loads(answer.out)["runs"][0]["ok"] for answer in seen[::2]] == [2] * len(states)
    assert "is on a file system that is mounted read-only" in refused.error
    assert refused.code == 2


def test_a_client_makes_the_database_with_the_first_submit(here: Path) -> None:
    settings = load_settings(database_url="sqlite:///persqa.db", broker_url="redis://127.0.0.1:1/0")
    with Client(settings) as client:
        for look in (client.runs, lambda: client.run("r"), lambda: client.store.queries.progresses()):
            with pytest.raises(NoDatabase, match="there is no database at"):
                look()
        assert list(here.iterdir()) == []
        run, batch = a_stored_run(client.store, 2)
        client.store.results.commit([an_outcome(batch[0])])
        assert [found.name for found in client.runs()] == [run.name]
        assert client.run("r").progress().pending == 1


def test_a_wrong_input_makes_no_database(here: Path) -> None:
    answer = typed("submit", "missing.jsonl", "--broker-url", "redis://127.0.0.1:1/0")
    assert (answer.code, list(here.iterdir())) == (2, [])


def test_doctor_says_that_there_is_none_yet(here: Path) -> None:
    def finding(*arguments: str) -> dict[str, str]:
        found = json.loads(typed("doctor", "--json", *arguments).out)
        return next(one for one in found if one["subject"] == "database")

    assert finding()["level"] == "ok"
    assert f"there is no database at {here}/persqa.db" in finding()["text"]
    named = finding("--database-url", "sqlite:///typo.db")
    assert (named["level"], f"{here}/typo.db" in named["text"]) == ("warning", True)
    assert finding("--database-url", "sqlite:///no/typo.db")["level"] == "failure"
    assert list(here.iterdir()) == []


def test_the_exporter_goes_on_until_there_is_a_database(here: Path) -> None:
    metrics = FleetMetrics(load_settings(database_url="sqlite:///persqa.db"), broker_url="redis://127.0.0.1:1/0")

    def up() -> float:
        (family,) = (family for family in metrics.collect() if family.name == "persqa_up")
        return next(sample.value for sample in family.samples if sample.labels["service"] == "database")

    assert (up(), list(here.iterdir())) == (0, [])
    Store.open("sqlite:///persqa.db").close()
    wait_until(lambda: up() == 1, describe="it finds the database")


@pytest.mark.usefixtures("here")
def test_an_older_schema_is_not_changed_by_a_look() -> None:
    with closing(Store.open("sqlite:///persqa.db")):
        pass
    with closing(Database("sqlite:///persqa.db")) as database, database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(SettingsError, match="schema"):
        Store.look("sqlite:///persqa.db").runs.all()


def test_an_odd_name_is_no_other_file(here: Path) -> None:
    for name in ("a b.db", "50%.db", "a#b.db", "ü.db"):
        with closing(Store.open(f"sqlite:///{name}")) as store:
            a_stored_run(store, 1)
        with closing(Store.look(f"sqlite:///{name}")) as store:
            assert [run.name for run in store.runs.all()] == ["r"]
    assert names(here) == {"a b.db", "50%.db", "a#b.db", "ü.db"}
    (here / "link.db").symlink_to("a b.db")
    with closing(Store.look("sqlite:///link.db")) as store:
        assert [run.name for run in store.runs.all()] == ["r"]
