"""Looks at a SQLite database while others write it: what is seen is never old, and never a mixture."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from persqa.errors import StoreUnavailable
from persqa.store import Store
from persqa.store.database import Database
from tests.support.builders import a_stored_run

_WRITER = """
import sqlite3, sys
for number in range(1, int(sys.argv[2]) + 1):
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=2")
    for part in range(3):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE one SET number = number + 1")
        connection.execute("UPDATE other SET number = number + 1")
        connection.execute("COMMIT")
    connection.close()
"""


def _numbers(looker: Database) -> set[int] | None:
    """All numbers of both tables; None where the look was in vain, and says so."""
    query = "SELECT min(number), max(number) FROM one UNION ALL SELECT min(number), max(number) FROM other"
    try:
        with looker.reading() as connection:
            return {number for row in connection.exec_driver_sql(query) for number in row}
    except StoreUnavailable as error:
        if "look again" not in str(error):
            raise
        return None


def test_a_look_while_others_come_write_and_go_is_never_old_nor_a_mixture() -> None:
    with closing(sqlite3.connect("x.db")) as made:
        made.execute("PRAGMA journal_mode=WAL")
        for table in ("one", "other"):
            # Few rows fill a page, so what is written last is in many.
            made.execute(f"CREATE TABLE {table} (number INTEGER, filling TEXT)")
            made.executemany(f"INSERT INTO {table} VALUES (0, ?)", [("x" * 3000,)] * 20)
        made.commit()
    rounds, seen, in_vain = 100, [0], 0
    with (
        subprocess.Popen([sys.executable, "-c", _WRITER, "x.db", str(rounds)]) as writer,
        closing(Database("sqlite:///x.db", looking=True)) as looker,
    ):
        while writer.poll() is None:
            if (found := _numbers(looker)) is None:
                in_vain += 1
                continue
            (number,) = found
            assert number >= seen[-1]
            seen.append(number)
        assert _numbers(looker) == {3 * rounds}
    print(f"{len(seen)} looks saw {len(set(seen))} states, {in_vain} were in vain")
    assert len(set(seen)) > 10


def test_who_reads_without_a_lock_is_told_when_somebody_wrote_meanwhile(tmp_path: Path) -> None:
    with closing(Store.open("sqlite:///persqa.db")) as store:
        a_stored_run(store, 1)
    looker = Database("sqlite:///persqa.db", looking=True)

    def look_while_it_is_written() -> None:
        with looker.reading() as connection, closing(Store.open("sqlite:///persqa.db")) as store:
            connection.exec_driver_sql("SELECT * FROM runs")
            a_stored_run(store, 1, "s")
            store.close()

    with pytest.raises(StoreUnavailable, match=f"{tmp_path}/persqa.db was written to while it was read: look again"):
        look_while_it_is_written()
    with looker.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == 2
    looker.close()
