"""The door, over real sockets, brokers and databases: what programs add and take, and what is refused."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from jsonschema import Draft202012Validator

from persqa.blobs import BlobStore, parse_blob_reference
from persqa.settings import load_settings
from persqa.store import Store
from producer.web.door import records
from producer.web.door.description import description
from producer.web.door.group_commit import GroupCommit
from tests.support.builders import an_outcome
from tests.support.programs_by_http import READ, Program, form, served, with_tokens
from tests.support.servers import broker_process, valkey_binary, valkey_server
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from producer import Client
    from tests.conftest import Site
    from tests.support.programs_by_http import Told


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Client, Program]]:
    """A server beside a Valkey and an SQLite database, and a program that may submit."""
    with valkey_server() as broker:
        where = {"database_url": f"sqlite:///{tmp_path}/persqa.db", "blob_store": f"{tmp_path}/blobs"}
        with served(with_tokens(load_settings(), broker_url=broker, queue_bound=50, **where)) as both:
            yield both


def end_all(store: Store, client: Client, name: str) -> None:
    for chunk in store.ledger.pending(client.run(name).run.id):
        store.results.commit([an_outcome(item) for item in chunk])


def conforms(told: Told, schema: str) -> Told:
    """Check an answer against its description."""
    described = {**description(), "$ref": f"#/components/schemas/{schema if told.status == 200 else 'Problem'}"}
    for row in told.rows:
        assert list(Draft202012Validator(described).iter_errors(row)) == []
    return told


def test_programs_open_add_follow_and_close(site: Site, tmp_path: Path) -> None:
    with served(with_tokens(site.settings, blob_store=f"{tmp_path}/blobs")) as (client, program):
        _add_in_all_ways(client, program)
        _follow_to_the_end(client, program)


def _add_in_all_ways(client: Client, program: Program) -> None:
    options = {"tag": "mam", "key": "id"}
    assert program.reader().ask("GET", "/runs/camera").code == "run_not_found"
    for given in (options, options, None):
        assert conforms(program.ask("PUT", "/runs/camera", given), "Progress").json["state"] == "open"
    one = {"id": "1", "image": "/1.png"}
    added = conforms(program.add("camera", one), "OneAdded").json
    assert (added["status"], added["key"]) == ("added", "1")
    assert conforms(program.add("camera", one), "OneAdded").json == {**added, "status": "known"}
    other = {"id": "1", "image": "/other.png"}
    assert conforms(program.add("camera", other), "OneAdded").code == "key_taken"
    listed = conforms(program.add("camera", [one, other, {"id": "2", "image": 5}, 7]), "ListAdded").json
    assert [one["status"] for one in listed["records"]] == ["known", "refused", "invalid", "invalid"]
    assert "expected a path" in listed["records"][2]["message"]
    lines = b'{"id": "3", "image": "/3.png"}\n\n{broken\n' + json.dumps(one).encode()
    counted = conforms(program.add_lines("camera", lines), "LinesAdded").json
    assert counted["records"] == 3
    assert counted["counts"] == {"added": 1, "known": 1, "replaced": 0, "refused": 0, "invalid": 1}
    assert [error["record"] for error in counted["errors"]] == ["line 3"]
    assert program.add("camera", other, "?replace=true").json["status"] == "replaced"
    sent, kind = form({"id": b"4", "record": b'{"at": 1.5}', "image": ("me.png", b"a picture")})
    assert conforms(program.add("camera", sent, kind=kind), "OneAdded").json["status"] == "added"
    assert program.add("camera", sent, kind=kind).json["status"] == "known"
    row = list(client.run("camera").results())[-1]
    assert (row.record["id"], row.record["at"]) == ("4", 1.5)
    digest, name = parse_blob_reference(row.image) or ("", "")
    assert (BlobStore(client.settings.blob_store).get(digest, max_bytes=99), name) == (b"a picture", "me.png")


def _follow_to_the_end(client: Client, program: Program) -> None:
    with ThreadPoolExecutor(2) as threads:
        followed = threads.submit(program.reader().results, "camera", "?follow=true")
        end_all(client.store, client, "camera")
        wait_until(lambda: client.run("camera").progress().pending == 0, describe="all have ended")
        assert program.ask("POST", "/runs/camera/close").json["open"] is False
        rows = conforms(followed.result(60), "Result").rows
    assert [row["cursor"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["item_id"] for row in rows}) == len(rows) == client.run("camera").progress().submitted
    assert program.results("camera", "?after=2&limit=3").rows == rows[2:5]
    assert program.results("camera", f"?after={len(rows)}&follow=true").rows == []
    assert program.add("camera", {"id": "9", "image": "/9.png"}).code == "run_conflict"
    assert program.add("camera", {"id": "1", "image": "/other.png"}).json["status"] == "known"


def test_what_is_asked_wrongly_is_said_in_one_shape(door: tuple[Client, Program]) -> None:
    client, program = door
    program.ask("PUT", "/runs/r", {"key": "id"})
    client.submit([{"image": "/a.png"}], run="whole")
    record = {"id": "1", "image": "/1.png"}
    form_without_end, kind = form({"id": b"1"})[0][:-6], form({})[1]
    for status, code, told in (
        (401, "bad_token", Program(program.root, "").ask("GET", "/runs/r")),
        (401, "bad_token", Program(program.root, READ[:-1]).ask("GET", "/runs/r")),
        (401, "bad_token", Program(program.root, "").ask("GET", "/runs/r", cookie=f"token={READ}")),
        (403, "read_only", program.reader().ask("PUT", "/runs/r")),
        (403, "read_only", program.reader().add("r", record)),
        (403, "read_only", program.reader().ask("POST", "/runs/r/close")),
        (404, "not_found", program.ask("GET", "/runs")),
        (404, "run_not_found", program.add("nobody", record)),
        (405, "bad_method", program.ask("DELETE", "/runs/r")),
        (405, "bad_method", program.ask("OPTIONS", "/runs/r/records", origin="http://evil.example")),
        (400, "bad_name", program.ask("GET", "/runs/a%00b")),
        (400, "bad_query", program.results("r", "?after=-1")),
        (400, "bad_query", program.results("r", "?follow=1")),
        (400, "bad_request", program.results("r", "?after=5")),
        (400, "bad_query", program.add("r", record, "?replace=yes")),
        (400, "bad_request", program.ask("PUT", "/runs/r", {"tga": "x"})),
        (400, "bad_request", program.ask("PUT", "/runs/x", {"pool": "/etc/passwd"})),
        (400, "bad_request", program.ask("PUT", "/runs/x", {"image_base": "/"})),
        (400, "bad_request", program.ask("PUT", "/runs/x", {"key": 5})),
        (400, "bad_json", program.ask("PUT", "/runs/x", b"[]")),
        (409, "run_conflict", program.ask("PUT", "/runs/r", {"tag": "other"})),
        (409, "run_conflict", program.ask("PUT", "/runs/whole")),
        (409, "run_conflict", program.add("whole", record)),
        (400, "bad_json", program.add("r", b"5")),
        (400, "bad_json", program.add("r", b'{"id": ')),
        (400, "bad_json", program.add("r", b'[{"id": "1", "image": "/1.png"}, {"id"')),
        (400, "bad_json", program.add("r", b"[" * 100_000)),
        (400, "bad_form", program.add("r", form_without_end, kind=kind)),
        (413, "too_large", program.add("r", [1] * 10_001)),
        (415, "unknown_type", program.add("r", b"id=1", kind="application/x-www-form-urlencoded")),
        (415, "packed", program.add("r", b"\x1f\x8b", content_encoding="gzip")),
    ):
        assert (told.status, conforms(told, "").code) == (status, code), told
        assert "access-control-allow-origin" not in told.headers
        assert "--" not in told.json["error"]["message"], told
    assert client.run("r").progress().submitted == 0
    # What says that it is a browser's page of another site is let in by its token alone.
    assert program.ask("GET", "/runs/r", origin="http://evil.example", host="evil.example").status == 200


def test_singles_that_come_together_share_transactions_and_harm_nobody(
    door: tuple[Client, Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, program = door
    program.ask("PUT", "/runs/r", {"key": "id"})
    first, go_on, groups, all_commits = threading.Event(), threading.Event(), list[int](), list[GroupCommit]()
    add_all = GroupCommit._add_all  # pyrefly: ignore[protected-access]

    def slowly(self: GroupCommit, run: str, loads: list[object]) -> object:
        groups.append(len(loads))
        all_commits.append(self)
        first.set()
        assert go_on.wait(60)
        return add_all(self, run, loads)  # pyrefly: ignore[bad-argument-type]

    monkeypatch.setattr(GroupCommit, "_add_all", slowly)
    with ThreadPoolExecutor(30) as threads:
        sent = [threads.submit(program.add, "r", {"id": "0", "image": "/0.png"})]
        assert first.wait(60)
        sent += [
            threads.submit(program.add, "r", {"id": str(number), "image": f"/{number}.png"}) for number in range(1, 20)
        ]
        # Of one that is refused the others hear nothing.
        sent.append(threads.submit(program.add, "r", {"id": "1", "image": "/other.png"}))
        waiting = all_commits[0]._waiting["r"]  # pyrefly: ignore[protected-access]
        wait_until(lambda: len(waiting) == 20, describe="all wait for the first")
        go_on.set()
        told = [one.result(60) for one in sent]
    assert groups == [1, 20]
    assert sorted(one.status for one in told) == [200] * 20 + [409]
    assert client.run("r").progress().submitted == 20


def test_a_full_queue_is_told_at_once_and_a_stream_waits_for_room(
    door: tuple[Client, Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, program = door
    monkeypatch.setattr(records, "_ROOM_SECONDS", 0.5)
    program.ask("PUT", "/runs/r", {"key": "id"})
    lines = [json.dumps({"id": str(number), "image": f"/{number}.png"}).encode() + b"\n" for number in range(1100)]
    # The first thousand finds an empty queue, and the rest none.
    told = program.add_lines("r", b"".join(lines))
    assert (told.status, told.code) == (429, "queue_full")
    assert (told.headers["retry-after"], told.json["done"]["records"]) == ("5", 1000)
    for again in (program.add_lines("r", lines[-1]), program.add("r", {"id": "x", "image": "/x.png"})):
        assert (again.status, again.headers["retry-after"], "done" in again.json) == (429, "5", False)
    assert client.run("r").progress().submitted == 1000
    client.run("r").cancel()
    assert program.add("r", {"id": "x", "image": "/x.png"}).code == "run_stopped"


def test_what_came_before_a_cut_is_there_and_a_pause_adds(door: tuple[Client, Program]) -> None:
    client, program = door
    program.ask("PUT", "/runs/r", {"key": "id"})
    run = client.run("r")

    def stream() -> Iterator[bytes]:
        yield b'{"id": "1", "image": "/1.png"}\n{"id": "2", "im'
        wait_until(lambda: run.progress().submitted == 1, describe="the first line is added in a pause")
        yield b'age": "/2.png"}\n{"id": "3"'
        wait_until(lambda: run.progress().submitted == 2, describe="so is the second")
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        program.add_lines("r", stream())
    again = program.add_lines("r", b'{"id": "1", "image": "/1.png"}\n{"id": "2", "image": "/2.png"}\n')
    assert again.json["counts"] == {"added": 0, "known": 2, "replaced": 0, "refused": 0, "invalid": 0}


def test_a_broker_or_database_that_is_away_is_no_fault_of_the_client(tmp_path: Path) -> None:
    database = tmp_path / "persqa.db"
    with broker_process(valkey_binary()) as broker:
        settings = with_tokens(load_settings(), broker_url=broker.url, database_url=f"sqlite:///{database}")
        with served(settings) as (client, program):
            program.ask("PUT", "/runs/r", {"key": "id"})
            program.add("r", {"id": "0", "image": "/0.png"})
            broker.kill()
            record = {"id": "1", "image": "/1.png"}
            told = program.add("r", record)
            assert (told.status, told.code, told.headers["retry-after"]) == (503, "unavailable", "10")
            broker.start()
            assert program.add("r", record).json["status"] in ("added", "known")
            assert client.run("r").progress().submitted == 2


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_who_follows_is_told_that_the_server_ends_and_a_wrong_name_in_a_query_is_refused(site: Site) -> None:
    with ExitStack() as following:
        with served(with_tokens(site.settings)) as (client, program):
            program.ask("PUT", "/runs/camera", {"key": "id"})
            assert program.add("camera", {"id": "1", "image": "/1.png"}, "?replce=true").code == "bad_query"
            assert program.results("camera", "?folow=true").code == "bad_query"
            program.add("camera", {"id": "1", "image": "/1.png"})
            end_all(client.store, client, "camera")
            asked = Request(f"{program.root}/runs/camera/results?follow=true")
            asked.add_header("Authorization", f"Bearer {READ}")
            answer = following.enter_context(urlopen(asked, timeout=30))
            assert json.loads(answer.readline())["cursor"] == 1
        (last,) = [json.loads(line) for line in answer if line.strip()]
        assert last["error"]["code"] == "ending"
