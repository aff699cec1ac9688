"""What a run asks for."""

from __future__ import annotations

import json

import pytest

from persqa.errors import SettingsError
from persqa.flags import Flag
from persqa.records import SEED_COLUMNS, Columns
from persqa.runs import RunOptions, parse_options


def test_a_run_that_says_nothing_of_columns_reads_the_seeds() -> None:
    stored = (
        '{"tag": "<mam>", "tag_policy": "repair", "pool": "human", "questions_per_image": 2, "seed": 0, "model": null}'
    )
    assert RunOptions.model_validate_json(stored).columns == SEED_COLUMNS == Columns(image="image", id=None)


def test_columns_that_are_not_given_are_the_seeds() -> None:
    assert parse_options(image_column=None, id_column=None).columns == SEED_COLUMNS
    assert parse_options(image_column="photo", id_column="key").columns == Columns(image="photo", id="key")


@pytest.mark.parametrize("options", [{"image_column": ""}, {"image_column": "conversation"}, {"id_column": ""}])
def test_a_column_that_cannot_be_meant_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="_column"):
        parse_options(**options)


def test_a_run_without_flags_is_stored_as_ever() -> None:
    assert not {"reject", "logprobs"} & set(json.loads(parse_options().model_dump_json()))
    given = parse_options(reject=" other_language,refusal", logprobs=True)
    assert given.reject == (Flag.REFUSAL, Flag.OTHER_LANGUAGE)
    assert RunOptions.model_validate_json(given.model_dump_json()) == given
    assert parse_options(reject=["refusal"]) != parse_options()


@pytest.mark.parametrize("wrong", ["rude", "blank", "stock_answer"])
def test_only_flags_of_answers_can_be_rejected(wrong: str) -> None:
    """Another answer would mend no picture."""
    with pytest.raises(SettingsError, match=f"reject: there is no flag of answers '{wrong}'; choose refusal, hedge, "):
        parse_options(reject=["refusal", wrong])
