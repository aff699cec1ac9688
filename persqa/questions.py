"""Question and QuestionPool: the questions, and the draw among them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from persqa.errors import SettingsError
from persqa.placeholders import placeholder_in, what_is_wrong
from persqa.system_errors import in_words
from persqa.tags import Tag
from persqa.words import counted, option

#: The place of the tag in a question template.
TAG_FIELD = "{tag}"
#: The pools that ship with PersQA.
BUILT_IN_POOLS = ("human", "object")

_LINE = re.compile(r"(?:(?P<topic>[a-z][a-z0-9_]*): +)?(?P<template>.+)")
_MAX_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question.

    Attributes:
        topic: its subject in one word, to group by; the template itself if the pool gives none.
        template: its words, with `{tag}` for the tag.
    """

    topic: str
    template: str

    def ask(self, tag: Tag) -> str:
        """The question with the tag in its place."""
        return self.template.replace(TAG_FIELD, tag)


@dataclass(frozen=True, kw_only=True)
class QuestionPool:
    """The questions that a run draws from."""

    name: str
    questions: tuple[Question, ...]

    @property
    def digest(self) -> str:
        """A digest of all questions, so that no run is continued with another pool."""
        text = "\n".join(f"{question.topic}: {question.template}" for question in self.questions)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def draw(self, count: int, *, seed: int, key: str) -> tuple[Question, ...]:
        """Draw different questions; the same seed and record key always give the same ones.

        Hashes draw them, not a random generator, so no Python version changes it.

        Raises:
            SettingsError: the pool is smaller than `count`.
        """
        if count > len(self.questions):
            has = f"the pool {self.name!r} has {counted(len(self.questions), 'question')}"
            raise SettingsError(f"{has}, {count} were asked for ({option('questions_per_image')})")
        if count == 1:
            return (self.questions[_drawn(seed, key, 0, len(self.questions))],)
        left = list(self.questions)
        return tuple(left.pop(_drawn(seed, key, place, len(left))) for place in range(count))


def _drawn(seed: int, key: str, place: int, among: int) -> int:
    number = hashlib.blake2b(f"{seed}\0{key}\0{place}".encode(), digest_size=8).digest()
    return int.from_bytes(number, "big") % among


def load_pool(name: str) -> QuestionPool:
    """Load a built-in pool by name, or another one from a text file with one question a line and `#` for comments.

    Raises:
        SettingsError: there is no such pool, or a line is wrong.
    """
    if name in BUILT_IN_POOLS:
        text = resources.files("persqa").joinpath("question_pools", f"{name}.txt").read_text("utf-8")
        return parse_pool(name, text)
    try:
        return parse_pool(name, Path(name).read_text("utf-8-sig"))
    except (OSError, UnicodeError, ValueError) as error:
        known = " or ".join(BUILT_IN_POOLS)
        cause = in_words(error, name) if isinstance(error, OSError) else error
        raise SettingsError(f"no question pool {name!r}: use {known}, or a UTF-8 text file ({cause})") from None


def parse_pool(name: str, text: str) -> QuestionPool:
    """Read `topic: question` lines; the topic may be left out.

    Raises:
        SettingsError: a line is too long, has no tag, has a placeholder or appears twice, or there is none.
    """
    questions: dict[str, Question] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None or line.lstrip().startswith("#"):
            continue
        template = match["template"]
        if len(template) > _MAX_CHARACTERS or "\0" in template:
            message = f"longer than {_MAX_CHARACTERS} characters, or with a NUL"
            raise SettingsError(f"{name}, line {number}: a question {message}")
        if TAG_FIELD not in template:
            said = f"the question does not ask about the main character: {template}"
            example = f"write {TAG_FIELD} for the name, as in: What is {TAG_FIELD} doing?"
            raise SettingsError(f"{name}, line {number}: {said}\n  {example}")
        if placeholder := placeholder_in(template):
            raise SettingsError(f"{name}, line {number}: {template}\n  {what_is_wrong(placeholder)}")
        if template in questions:
            raise SettingsError(f"{name}, line {number}: this question appears twice: {template}")
        questions[template] = Question(topic=match["topic"] or template, template=template)
    if not questions:
        raise SettingsError(f"the question pool {name!r} has no question")
    return QuestionPool(name=name, questions=tuple(questions.values()))
