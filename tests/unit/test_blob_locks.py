"""Whoever fills a blob store, nothing of it is deleted meanwhile."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from persqa.blob_locks import Filling, alone, others
from persqa.errors import BlobsUnavailable
from tests.support.wait import wait_until


def test_who_fills_a_store_lets_nobody_delete_and_others_fill_it(tmp_path: Path) -> None:
    with (
        closing(Filling(str(tmp_path), ledger=lambda: "one")) as first,
        closing(Filling(str(tmp_path), ledger=lambda: "one")) as second,
    ):
        with alone(tmp_path):
            pass
        first.put(b"a")
        second.put(b"b")
        for filling in (first, second):
            with pytest.raises(BlobsUnavailable, match="a submit is under way"), alone(tmp_path):
                raise AssertionError
            filling.close()
        with alone(tmp_path):
            pass


def test_who_deletes_is_waited_for(tmp_path: Path) -> None:
    with closing(Filling(str(tmp_path), ledger=lambda: "one")) as filling:
        with alone(tmp_path):
            putting = Thread(target=filling.put, args=(b"a",), name="test")
            putting.start()
            assert not list(tmp_path.glob("??/??/*"))
        putting.join()
    assert len(list(tmp_path.glob("??/??/*"))) == 1


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        f"from persqa.blob_locks import Filling\nf = Filling({str(tmp_path)!r})\nf.hold()\nprint(flush=True)\ninput()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BlobsUnavailable), alone(tmp_path):
            raise AssertionError
        process.kill()
    wait_until(lambda: _free(tmp_path), describe="the lock is free")


def _free(folder: Path) -> bool:
    try:
        with alone(folder):
            return True
    except BlobsUnavailable:
        return False


def test_a_store_of_several_ledgers_says_so(tmp_path: Path) -> None:
    assert "earlier PersQA" in str(others(tmp_path, ledger="one"))
    for ledger in ("one", "two"):
        with closing(Filling(str(tmp_path), ledger=partial(str, ledger), database=f"sqlite:///{ledger}.db")) as filling:
            filling.put(b"a")
            assert ("two.db" in str(others(tmp_path, ledger="one"))) == (ledger == "two")
    mark = tmp_path / ".ledgers" / "two"
    assert f"remove {mark}" in str(others(tmp_path, ledger="one"))
    mark.unlink()
    assert others(tmp_path, ledger="one") is None


def test_nothing_is_made_where_nothing_is_put(tmp_path: Path) -> None:
    with closing(Filling(str(tmp_path / "blobs"), ledger=lambda: "one")) as filling:
        filling.hold_what_is_there()
    assert not (tmp_path / "blobs").exists()
