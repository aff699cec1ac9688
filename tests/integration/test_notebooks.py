"""What runs, rows and progress are in a notebook, called as a notebook calls them."""

from __future__ import annotations

import dataclasses
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persqa.errors import InputError, SettingsError
from persqa.pairs import PairRow
from persqa.reviews import Decision
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client, RunHandle
from tests.support.hostile_rows import IMAGE, SCRIPT, TEXTS, a_hostile_run
from tests.support.shown_runs import a_shown_run


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), local_worker=False) as client:
        yield client


@pytest.fixture
def portraits(client: Client, tmp_path: Path) -> RunHandle:
    return a_shown_run(client, tmp_path / "data")


def _html(shown: object) -> str:
    """As IPython asks for it."""
    method = "_repr_html_"
    return getattr(shown, method)()


def test_a_run_shows_how_far_it_is_and_some_pictures(portraits: RunHandle) -> None:
    html = _html(portraits)
    progress = portraits.progress()
    assert "portraits" in html
    for status, number in progress.ended.items():
        assert f"{status} {number}" in html
    assert f'aria-label="{progress.ended["ok"]} ok, ' in html  # pyrefly: ignore[bad-index]
    # One of the first six records has no picture, and says what it would have been called.
    assert html.count("data:image/jpeg;base64,") == 5
    assert "images/not-there.jpg" in html
    assert len(html) < 60_000
    assert _html(progress) in html


def test_rows_are_a_table_and_none_is_used_up_by_looking(portraits: RunHandle) -> None:
    rows = portraits.results(status="ok")
    first = next(rows)
    html = _html(rows)
    assert html.count("<tr>") == 21
    assert "The first 20 rows." in html
    assert 0 < html.count("<img") <= 8
    assert [first, *rows] == list(portraits.results(status="ok"))
    assert "<mark>&lt;mam&gt;</mark>" in _html(first)
    assert "No rows." in _html(portraits.results(question="nobody asks this"))


def test_hostile_texts_are_text_in_a_notebook(client: Client, tmp_path: Path) -> None:
    run = a_hostile_run(client, tmp_path / "data")
    shown = [run, run.results(), *run.results(), run.progress(), run.gallery()]
    for html in map(_html, shown):
        assert SCRIPT not in html
        assert IMAGE not in html
        assert not re.search(r"<(script|svg onload|textarea)", html)
        assert "\u202e" not in html
        # A notebook is a file of JSON in UTF-8.
        html.encode()
    assert len(_html(run.results())) < 40_000
    assert len(shown) == len(TEXTS) + 4


def test_what_goes_wrong_while_somebody_looks_is_said_in_its_place(portraits: RunHandle) -> None:
    rows = portraits.results()
    portraits.delete()
    assert "portraits: " in _html(portraits)
    assert "No rows." in _html(rows)


def test_a_data_frame_has_a_typed_column_for_all_that_a_row_has(portraits: RunHandle) -> None:
    import pandas as pd

    rows = list(portraits.results())
    portraits.review([rows[0].item_id], decision=Decision.ACCEPTED, note="sharp")
    frame: Any = portraits.to_pandas()
    assert set(frame.columns) == {field.name for field in dataclasses.fields(PairRow)}
    assert len(frame) == len(rows)
    assert list(frame.item_id) == [row.item_id for row in rows]
    assert list(frame.record) == [row.record for row in rows]
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert types["item_id"] == "int64"
    assert types["output_tokens"] == "Int64"
    assert types["forced"] == "boolean"
    assert types["answer"] == "string"
    assert types["status"] == types["review"] == types["rung"] == "category"
    assert isinstance(frame.finished_at.dtype, pd.DatetimeTZDtype)
    assert frame.status.value_counts()["pending"] == 4
    assert (frame.review[0], frame.note[0], frame.review.notna().sum()) == ("accepted", "sharp", 1)
    ok: Any = portraits.to_pandas(status="ok")
    assert list(ok.answer) == [row.answer for row in rows if row.status == "ok"]
    none: Any = portraits.to_pandas(question="nobody asks this")
    assert len(none) == 0
    assert dict(none.dtypes) == dict(frame.dtypes)


def test_a_data_frame_without_pandas_says_what_brings_it(portraits: RunHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=re.escape("pip install 'persqa[data]'")):
        portraits.to_pandas()


def test_the_gallery_is_beside_the_program_and_ends_with_the_client(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/persqa.db"
    Store.open(url).close()
    with Client(load_settings(database_url=url), local_worker=False) as client:
        run = a_shown_run(client, tmp_path / "data", records=2)
        found = run.gallery()
        assert str(found).endswith("/runs/portraits")
        assert f'href="{found}"' in _html(found)
        assert client.run("portraits").gallery() == found
        with urllib.request.urlopen(str(found)) as answer:
            assert b"portraits" in answer.read()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(str(found))


def test_the_gallery_says_what_brings_it_where_it_is_not_installed(
    portraits: RunHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "producer.web.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SettingsError, match=re.escape("pip install 'persqa[ui]'")):
        portraits.gallery()
