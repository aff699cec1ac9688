"""What looking at a large run costs: those who look, and those who write meanwhile."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from benchmarks.measuring import Pair, in_turn
from persqa.items import MAX_ITEMS
from persqa.results import Outcome, Result, Status
from persqa.runs import parse_options
from persqa.store import Store
from persqa.store.database import Database
from tests.support.servers import fresh_database, postgres_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from persqa.items import Item
    from persqa.runs import Run

#: Of every so many items, the last one is pending, for a worker to answer while others look.
_PENDING = 2
_ROWS = 100
_ROWS_A_SECOND = 500
#: Rows in a batch while writing is measured.
_BATCH = 64
#: Between two pages that a person looks at; and rows a second that are written at least while somebody looks.
_PERSON_SECONDS = 1.0
_SLOWEST = 3000


@dataclass(slots=True, kw_only=True)
class Looked:
    """What was measured on one database; all in seconds, but for the memory in MB.

    Attributes:
        loading: until the run was in memory; `while_loading`, each page meanwhile.
        pages: each page, with all its facets, while 500 rows a second were written.
        texts: each search for a text, until the whole run was looked through; `names`, for what names a record.
        memory: of the process that looks.
        writing: rows a second that are written while a person looks, and while nobody does.
    """

    loading: float
    while_loading: list[float]
    pages: list[float] = field(default_factory=list)
    texts: list[float] = field(default_factory=list)
    names: list[float] = field(default_factory=list)
    memory: float = 0.0
    writing: list[Pair] = field(default_factory=list)


def on_each_database(*, items: int, seconds: float, pairs: int) -> Iterator[tuple[str, Looked]]:
    """Measure with a run of so many items on SQLite and on PostgreSQL, looking at pages for so long."""
    with tempfile.TemporaryDirectory(prefix="persqa-bench-") as folder:
        yield "SQLite", _measured(f"sqlite:///{folder}/bench.db", items, seconds, pairs)
    with postgres_server() as server, fresh_database(server) as url:
        yield "PostgreSQL", _measured(url, items, seconds, pairs)


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _measured(url: str, items: int, seconds: float, pairs: int) -> Looked:
    store = Store.open(url)
    run = fill(store, url, items)
    try:
        with _server(url, run.name) as server:
            loaded = server.ask("load")
            looked = Looked(loading=loaded["seconds"], while_loading=loaded["pages"])
            pending = (item for chunk in store.ledger.pending(run.id) for item in chunk)
            with _worker(store, pending):
                found = server.ask("look", seconds)
                looked.pages, looked.memory = found["pages"], found["memory"]
                searches = server.ask(
                    "search", "coat number 776,", "yellow coat", "in the evening light", "portrait-77"
                )
                looked.texts = searches["searches"]
                looked.names = server.ask("find", "record-4242", "record-77", str(run.id * MAX_ITEMS + 7))["searches"]
                looked.memory = max(looked.memory, server.ask("look", 1)["memory"])

            # A part is left for who writes while pages are looked at.
            rows = items // _PENDING // (2 * pairs + 2)

            def with_somebody() -> float:
                looking = server.send("look", rows / _SLOWEST, _PERSON_SECONDS)
                rate = _rate(store, pending, rows)
                looking()
                return rate

            def alone() -> float:
                server.ask("rest")
                return _rate(store, pending, rows)

            looked.writing = in_turn(with_somebody, alone, pairs=pairs)
        return looked
    finally:
        store.close()


def _rate(store: Store, pending: Iterator[Item], rows: int) -> float:
    """Rows a second, where so many are written as fast as it goes."""
    written, spent = 0, 0.0
    while written < rows:
        batch = [_outcome(next(pending)) for _ in range(_BATCH)]
        started = time.monotonic()
        written += len(store.results.commit(batch))
        spent += time.monotonic() - started
    return written / spent


@contextmanager
def _worker(store: Store, pending: Iterator[Item]) -> Generator[None]:
    """Somebody who writes 500 rows a second, for as long as the block lasts and items are left."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(_ROWS / _ROWS_A_SECOND):
            store.results.commit([_outcome(next(pending)) for _ in range(_ROWS)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _outcome(item: Item) -> Outcome:
    answer = f"<mam> wears something else, number {item.id}."
    result = Result(
        item_id=item.id, run_id=item.run_id, status=Status.OK, answer=answer, worker="host-9", model="instant"
    )
    return Outcome(result)


class _Server:
    """The process that looks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *command: object) -> dict[str, Any]:
        """Let it do something, and wait for the answer."""
        return self.send(*command)()

    def send(self, *command: object) -> Any:
        """Let it do something; gives what waits for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return lambda: json.loads(self._process.stdout.readline() or "null")


@contextmanager
def _server(url: str, run: str) -> Generator[_Server]:
    command = [sys.executable, "-m", "benchmarks.gallery_server", url, run]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield _Server(process)
        assert process.stdin is not None
        process.stdin.close()


def fill(store: Store, url: str, items: int) -> Run:
    """A run that is answered but for a quarter, written by the database itself: the ledger's own way takes minutes."""
    run = store.runs.create(
        "large", options=parse_options(), pool_digest="", fingerprint="", base="/", item_count=items
    )
    database = Database(url)
    low = run.id * MAX_ITEMS
    with database.writing() as connection:
        for statement in _FILLING:
            series, instant = _OF_SQLITE if database.is_sqlite else _OF_POSTGRESQL
            text = statement.format(series=series.format(last=items - 1), instant=instant, low=low, run=run.id)
            connection.execute(sa.text(text.replace(":", "\\:")))
    if not database.is_sqlite:
        with database.writing() as connection:
            connection.execute(sa.text("ANALYZE"))
    database.close()
    return run


_OF_SQLITE = (
    "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {last})",
    "strftime('%Y-%m-%d %H:%M:%f', 1.79e9 + i * 0.002, 'unixepoch') || '000'",
)
_OF_POSTGRESQL = (
    "WITH numbers(i) AS (SELECT generate_series(CAST(0 AS BIGINT), {last}))",
    "to_timestamp(1.79e9 + i * 0.002)",
)
_ENDED = f"i % {_PENDING} <> {_PENDING - 1}"
_FILLING = (
    """
INSERT INTO items (id, run_id, position, slot, record, images, tag, topic, question, requeues, recoveries)
{series} SELECT {low} + i, {run}, i, 0,
    '{{"image": "images/portrait-' || i || '.jpg", "id": "record-' || i || '", "conversation": []}}',
    '["images/portrait-' || i || '.jpg"]', '<mam>', 'topic' || (i % 20),
    'Can you tell me what <mam> is wearing in this picture, in the words of number ' || (i % 20) || '?', 0, 0
FROM numbers
""",
    f"""
INSERT INTO results (item_id, run_id, status, reason, answer, rung, forced, finish_reason, generations, prompt_tokens,
    output_tokens, image_seconds, engine_seconds, worker, model, finished_at)
{{series}} SELECT {{low}} + i, {{run}},
    CASE WHEN i % 17 = 0 THEN 'noncompliant' WHEN i % 101 = 0 THEN 'dead' ELSE 'ok' END,
    CASE WHEN i % 17 = 0 THEN 'late_tag' WHEN i % 101 = 0 THEN 'time_limit' END,
    '<mam> is wearing a ' || CASE i % 3 WHEN 0 THEN 'red' WHEN 1 THEN 'blue' ELSE 'yellow' END || ' coat number '
        || (i % 50000) || ', and stands before a wall of bricks in the evening light of a city.',
    CASE WHEN i % 7 = 0 THEN 'reseed' ELSE 'free' END, FALSE, 'stop', 1 + (i % 2), 300, 20 + (i % 30),
    0.01 * (i % 9), 0.3 * (i % 11), 'host-' || (i % 4), 'model', {{instant}}
FROM numbers WHERE {_ENDED}
""",
    f"""
INSERT INTO violations (item_id, run_id, rung, kind, text, finish_reason, seed, prompt_tokens, output_tokens, worker,
    model, created_at)
{{series}} SELECT {{low}} + i, {{run}}, 'free', 'late_tag', 'Look at <mam>.', 'stop', 1, 2, 3, 'w', 'm', {{instant}}
FROM numbers WHERE i % 17 = 0 AND {_ENDED}
""",
    """
INSERT INTO run_counters (run_id, status, items)
SELECT run_id, status, count(*) FROM results WHERE run_id = {run} GROUP BY run_id, status
""",
    """
INSERT INTO run_counters (run_id, status, items) SELECT run_id, 'submitted', count(*) FROM items
WHERE run_id = {run} GROUP BY run_id
""",
)
