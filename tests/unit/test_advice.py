"""There is a sentence that says what to do about everything that can go wrong with an item."""

from __future__ import annotations

import re

import pytest

from persqa.reasons import Reason
from persqa.results import Status
from persqa.settings import Settings
from persqa.verdicts import ViolationKind
from producer.advice import advice, is_of_bad_images, is_worth_asking

_ALL = (*Reason, *ViolationKind)


@pytest.mark.parametrize("reason", _ALL)
def test_each_has_a_sentence_of_its_own(reason: str) -> None:
    sentence = advice(reason)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence) < 200
    assert sentence != advice(None), "what nobody has thought of"


def test_settings_in_them_are_there() -> None:
    named = {name for reason in _ALL for name in re.findall("PERSQA_[A-Z_]+", advice(reason))}
    assert named
    assert named <= {f"PERSQA_{name.upper()}" for name in Settings.model_fields}


def test_records_that_are_wrong_in_themselves_are_not_worth_asking() -> None:
    assert not is_worth_asking(Status.INVALID, Reason.BAD_CONVERSATION)
    assert is_worth_asking(Status.INVALID, Reason.NOT_FOUND)
    assert is_worth_asking(Status.DEAD, Reason.OVERSIZED_MESSAGE), "that one is about its message"
    assert is_worth_asking(Status.NONCOMPLIANT, ViolationKind.LATE_TAG)


def test_only_what_is_remembered_as_bad_is_tried_again_on_demand() -> None:
    assert [reason for reason in Reason if is_of_bad_images(reason)] == [Reason.NOT_AN_IMAGE, Reason.BROKEN_IMAGE]
