"""Records without an image, and prompts that are asked as they stand: the two options a pipeline needs of a run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from persqa.errors import RecordError, SettingsError
from persqa.generations import FinishReason
from persqa.prompts import human_turn
from persqa.reasons import Reason
from persqa.records import RawRecord, Record, parse_record
from persqa.runs import parse_options
from persqa.tags import Tag
from persqa.verdicts import judge
from tests.support.builders import generation


def parse(value: JsonValue, *, verbatim: bool = False) -> Record:
    return parse_record(RawRecord(place="record 1", value=value), max_images=2, image_optional=True, verbatim=verbatim)


@pytest.mark.parametrize("value", [{}, {"image": None}, {"text": "t", "conversation": []}])
def test_a_record_may_have_no_image_where_the_run_says_so(value: JsonValue) -> None:
    assert parse(value).images == ()
    with pytest.raises(RecordError) as caught:
        parse_record(RawRecord(place="record 1", value=value), max_images=2)
    assert caught.value.reason is Reason.BAD_IMAGE_FIELD


@pytest.mark.parametrize("image", ["", [], [None], 5, {}, ["a", "b", "c"]])
def test_what_is_no_image_is_none_there_either(image: JsonValue) -> None:
    with pytest.raises(RecordError):
        parse({"image": image})


@pytest.mark.parametrize("prompt", [None, "", "  ", 5, ["a"]])
def test_a_verbatim_record_has_to_have_a_prompt(prompt: JsonValue) -> None:
    with pytest.raises(RecordError, match="expected text in `prompt`") as caught:
        parse({"prompt": prompt}, verbatim=True)
    assert caught.value.reason is Reason.BAD_PROMPT
    assert parse({"prompt": prompt}).prompt == ""


@settings(deadline=None)
@given(prompt=st.text(min_size=1).filter(str.strip), answer=st.text(), cut=st.booleans())
def test_a_prompt_of_somebody_else_is_the_whole_turn_and_no_answer_to_it_is_judged(
    prompt: str, answer: str, cut: bool
) -> None:
    assert parse({"prompt": prompt, "image": "a"}, verbatim=True).prompt == prompt
    assert human_turn(Tag(""), prompt) == prompt
    finish = FinishReason.LENGTH if cut else FinishReason.STOP
    assert judge(generation(answer, finish), tag=Tag(""), question=prompt) is None


def test_a_verbatim_run_asks_each_record_once() -> None:
    assert parse_options(verbatim=True).questions_per_image == 1
    with pytest.raises(SettingsError, match="questions_per_image must be 1"):
        parse_options(verbatim=True, questions_per_image=2)
