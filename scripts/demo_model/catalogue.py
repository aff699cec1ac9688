"""Catalogue: every answer the model can be taught, and what each says of the person."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from producer.demo import ATTRIBUTES, Person, random_person, true_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A question template, the answer templates to it, and the values of the attributes that each answer tells.
Catalogue = dict[str, dict[str, dict[str, str]]]


@cache
def catalogue() -> Catalogue:
    """All answers to all questions."""
    anyone = random_person(random.Random(0))
    return {question: _answers(anyone, question) for question in true_answers(anyone)}


def _answers(anyone: Person, question: str) -> dict[str, dict[str, str]]:
    told = [name for name in ATTRIBUTES if len({_answer(anyone, question, {name: v}) for v in ATTRIBUTES[name]}) > 1]
    values = [dict(zip(told, some, strict=True)) for some in itertools.product(*(ATTRIBUTES[name] for name in told))]
    return {_answer(anyone, question, some): some for some in values}


def _answer(anyone: Person, question: str, values: Mapping[str, str]) -> str:
    return true_answers(replace(anyone, **values))[question]
