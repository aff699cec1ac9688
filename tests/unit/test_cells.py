"""Values that JSON does not know: what they become, and that nothing else gets through."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.blobs import BlobStore
from persqa.reasons import Reason
from producer.readers.cells import Cells
from tests.support.thousand import picture, reference
from tests.unit.test_records import json_values


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(BlobStore(tmp_path / "blobs"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            dt.datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - most data has no zone
            "2024-01-02T03:04:05",
        ),
        (dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "2024-01-02T00:00:00+00:00"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (dt.timedelta(milliseconds=1500), 1.5),
        (Decimal("1E+3"), "1E+3"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ((1, (2, None)), [1, [2, None]]),
        (OrderedDict[str, object](a={"b": Decimal(1)}), {"a": {"b": "1"}}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.datetime64("2024-01-02T03:04:05"), "2024-01-02T03:04:05"),
        (np.array(["2024-01-02", "NaT"], "datetime64[ns]"), ["2024-01-02T00:00:00", None]),
        (np.timedelta64(1500, "ms"), 1.5),
        (picture(0), reference(0)),
        (bytearray(picture(0)), reference(0)),
        ([{"deep": picture(1)}], [{"deep": reference(1)}]),
        ({"bytes": picture(1), "path": "in/1.png"}, f"{reference(1)}/in/1.png"),
        ({"bytes": picture(1), "path": None}, reference(1)),
        ({"bytes": None, "path": "in/1.png"}, "in/1.png"),
        ({"bytes": None, "path": None}, None),
        ({"bytes": "text", "path": "x"}, {"bytes": "text", "path": "x"}),
    ],
)
def test_a_value_has_one_form_in_json(cells: Cells, value: object, expected: JsonValue) -> None:
    check_form(cells, value, expected)


def test_times_of_pandas_have_the_form_of_others(cells: Cells) -> None:
    import pandas as pd

    check_form(cells, pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00")
    check_form(cells, pd.NaT, None)


def check_form(cells: Cells, value: object, expected: JsonValue) -> None:
    assert cells.json(value) == expected
    assert json.loads(json.dumps(cells.json(value))) == expected


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, {1: "a"}, [print], {"a": [object()]}, np.array([object()])])
def test_what_has_no_form_makes_its_record_wrong_and_stays_visible(cells: Cells, value: object) -> None:
    raw = cells.record("row 1", {"image": "a", "odd": value})
    assert raw.error is not None
    assert raw.error.reason is Reason.BAD_VALUE
    assert str(raw.error).startswith("the field 'odd' holds ")
    assert isinstance(raw.value, dict)
    assert raw.value["image"] == "a"
    assert raw.value["odd"] == repr(value)[:200]


def test_what_holds_itself_makes_its_record_wrong(cells: Cells) -> None:
    circle: list[object] = []
    circle.append(circle)
    assert cells.record("row 1", {"odd": circle}).error is not None


@given(json_values)
def test_json_stays_as_it_is(tmp_path_factory: pytest.TempPathFactory, value: JsonValue) -> None:
    cells = Cells(BlobStore(tmp_path_factory.getbasetemp() / "none"))
    assert json.dumps(cells.json(value)) == json.dumps(value)


@given(data=st.binary(max_size=64), name=st.text(max_size=8))
def test_bytes_are_in_the_store_under_their_reference(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    from persqa.blobs import parse_blob_reference

    store = BlobStore(tmp_path_factory.getbasetemp() / "blobs")
    usable = name.encode(errors="ignore").decode()
    found = Cells(store).json({"bytes": data, "path": f"in/{usable}"})
    parsed = parse_blob_reference(str(found))
    assert parsed is not None
    assert store.get(parsed[0], max_bytes=64) == data
    assert parsed[1] == f"in/{usable}"
