"""Records as given."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.records import Columns, RawRecord, parse_record, record_id, record_key, stored_record

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def raw(value: JsonValue) -> RawRecord:
    return RawRecord(place="line 7", value=value)


def reason_of(value: JsonValue) -> tuple[Reason, str]:
    with pytest.raises(RecordError) as caught:
        parse_record(raw(value), max_images=2)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        {"image": "a.png"},
        {"image": ["a.png"]},
        {"image": ["a.png", "b.png"], "source": "x", "conversation": [{"from": "human", "value": ""}]},
        {"image": "a.png", "source": 5, "conversation": None, "score": float("nan"), "other": {"a": [None]}},
        {"image": "a.png", "conversation": [{"from": "human", "value": None}, {"from": "gpt"}]},
        {"image": "ü.png", "conversation": [{"from": "human", "value": "nul \0 and \ud800"}]},
        {"image": "a.png", "tag": None},
    ],
)
def test_the_seed_format_is_accepted(value: JsonValue) -> None:
    record = parse_record(raw(value), max_images=2)
    assert record.images[0].endswith(".png")
    assert record.tag is None


def test_a_record_may_bring_its_own_tag() -> None:
    assert parse_record(raw({"image": "a", "tag": "bob"}), max_images=1).tag == "<bob>"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, Reason.NOT_AN_OBJECT),
        ([], Reason.NOT_AN_OBJECT),
        (None, Reason.NOT_AN_OBJECT),
        ({}, Reason.BAD_IMAGE_FIELD),
        ({"image": None}, Reason.BAD_IMAGE_FIELD),
        ({"image": ""}, Reason.BAD_IMAGE_FIELD),
        ({"image": []}, Reason.BAD_IMAGE_FIELD),
        ({"image": 5}, Reason.BAD_IMAGE_FIELD),
        ({"image": ["a", None]}, Reason.BAD_IMAGE_FIELD),
        ({"image": ["a", "b", "c"]}, Reason.TOO_MANY_IMAGES),
        ({"image": "a\0b"}, Reason.BAD_PATH),
        ({"image": "a\ud800b"}, Reason.BAD_PATH),
        ({"image": "a", "conversation": "x"}, Reason.BAD_CONVERSATION),
        ({"image": "a", "conversation": ["x"]}, Reason.BAD_CONVERSATION),
        ({"image": "a", "conversation": [{"value": "x"}]}, Reason.BAD_CONVERSATION),
        ({"image": "a", "conversation": [{"from": "human", "value": 5}]}, Reason.BAD_CONVERSATION),
        ({"image": "a", "tag": "<1>"}, Reason.BAD_TAG),
        ({"image": "a", "tag": 5}, Reason.BAD_TAG),
    ],
)
def test_a_wrong_record_is_refused_with_its_reason_and_its_place(value: JsonValue, reason: Reason) -> None:
    found, message = reason_of(value)
    assert found is reason
    assert message.startswith("line 7: ")


def _has_no_other_meaning(name: str) -> bool:
    return name not in ("conversation", "tag")


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.text(min_size=1).filter(_has_no_other_meaning))
def test_images_stand_under_whatever_name_the_run_gives(fields: dict[str, JsonValue], column: str) -> None:
    others = {name: value for name, value in fields.items() if _has_no_other_meaning(name)}
    given_record: dict[str, JsonValue] = {**others, column: ["a.png", "b.png"]}
    parsed = parse_record(raw(given_record), max_images=2, columns=Columns(image=column))
    assert parsed.images == ("a.png", "b.png")


def test_an_image_column_that_is_missing_is_named() -> None:
    with pytest.raises(RecordError, match="found no `picture`") as caught:
        parse_record(raw({"image": "a.png"}), max_images=2, columns=Columns(image="picture"))
    assert caught.value.reason is Reason.BAD_IMAGE_FIELD


@pytest.mark.parametrize(
    ("value", "place", "named"),
    [
        ({"key": 4711}, "line 7 (id 4711): ", "4711"),
        ({"key": "anna"}, "line 7 (id anna): ", "anna"),
        ({"key": ["a", 1]}, 'line 7 (id ["a", 1]): ', '["a", 1]'),
        ({"key": None}, "line 7: ", None),
        ({"other": 5}, "line 7: ", None),
        ([], "line 7: ", None),
    ],
)
def test_the_id_column_names_a_record_that_is_wrong(value: JsonValue, place: str, named: str | None) -> None:
    with pytest.raises(RecordError) as caught:
        parse_record(raw(value), max_images=2, columns=Columns(id="key"))
    assert str(caught.value).startswith(place + "expected")
    assert record_id(stored_record(raw(value).json), "key") == named


def test_without_an_id_column_the_field_of_that_name_names_a_record() -> None:
    assert record_id({"id": 7, "key": "a"}, None) == "7"
    assert record_id({"id": 7, "key": "a"}, "key") == "a"
    assert record_id({"key": "a"}, None) is None


def test_a_record_that_is_no_object_stands_in_a_field_of_its_own() -> None:
    assert stored_record('{"image": "a"}') == {"image": "a"}
    assert stored_record('["a"]') == {"record": ["a"]}


@given(json_values)
def test_no_json_value_makes_the_parser_fail_otherwise(value: JsonValue) -> None:
    for candidate in (value, {"image": value}, {"image": "a", "conversation": value}, {"image": "a", "tag": value}):
        with suppress(RecordError):
            parse_record(raw(candidate), max_images=2)


@given(json_values)
def test_the_ledgers_json_is_ascii_and_means_the_same(value: JsonValue) -> None:
    text = raw(value).json
    assert text.isascii()
    assert "\0" not in text
    assert json.dumps(json.loads(text)) == text


def test_equal_records_have_equal_keys_and_others_have_not() -> None:
    assert record_key('{"a": 1}') == record_key('{"a": 1}') != record_key('{"a": 2}')
