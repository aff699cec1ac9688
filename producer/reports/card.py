"""Card: what the README.md of a data set says on the Hugging Face hub: what is in it, how it was made, how good it is.

What only people know, such as the licence of the pictures, has a place where they write it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from persqa.words import counted
from producer.intervals import percent
from producer.spot_checks import sentences
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from producer.exporters.shapes import Pair
    from producer.intervals import Share
    from producer.reports.report import Report

#: Sizes in the hub's words, by the number of rows from which on they hold.
_SIZES = {
    0: "n<1K",
    10**3: "1K<n<10K",
    10**4: "10K<n<100K",
    10**5: "100K<n<1M",
    10**6: "1M<n<10M",
    10**7: "10M<n<100M",
    10**8: "100M<n<1B",
}
#: The pools that come with PersQA are in English; of others nobody here knows.
_ENGLISH = ("human", "object")
_SHORT, _LONG = 300, 4000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The data that a card lies beside.

    Attributes:
        rows: how many rows each part has; one without splits is called `train`.
        files: where the files of each part are, from the card's folder on; a pattern.
        choice: how its rows were chosen, a sentence each.
        chosen: the answers among its rows; None where only those of the run are counted.
    """

    rows: Mapping[str, int]
    files: Mapping[str, str]
    choice: Sequence[str] = ()
    chosen: Chosen | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answers among the rows of an export: how many each topic has, and how many have each flag."""

    topics: Counter[str] = field(default_factory=Counter[str])
    flags: Counter[str] = field(default_factory=Counter[str])

    def each(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs, counted as they pass."""
        for pair in pairs:
            self.topics[pair.row.topic] += pair.answer is not None
            self.flags.update(found.flag for found in pair.row.flags)
            yield pair


def card(report: Report, data: Data | None = None) -> str:
    """The text of a card.

    Args:
        report: about the run.
        data: the rows that the card lies beside; without them it tells of all answers of the run.
    """
    parts = [
        [f"# {_text(report.run.name)}", _LEAD],
        _contents(report, data),
        _making(report),
        _quality(report, data),
        _to_fill_in(),
    ]
    return _front(report, data) + "\n" + "\n\n".join(line for part in parts for line in part if line) + "\n"


_LEAD = (
    "Questions about pictures, and answers of a vision-language model that begin with the name of the picture's main "
    "character. Nobody wrote the answers: they are synthetic."
)


def _front(report: Report, data: Data | None) -> str:
    """What the hub reads: YAML, whose texts are written as in JSON."""
    rows = report.summary.answers if data is None else sum(data.rows.values())
    size = [name for least, name in _SIZES.items() if rows >= least][-1]
    lines = ["---", "license: unknown  # to be filled in: that of the pictures, of the model's outputs, and your own"]
    if report.run.options.pool in _ENGLISH and report.is_judged:
        lines += ["language:", "- en"]
    lines += [f"pretty_name: {_quoted(report.run.name)}", "task_categories:", "- visual-question-answering"]
    lines += ["- image-text-to-text", "size_categories:", f"- {size}", "tags:", "- synthetic", "- persqa", "- vllm"]
    if data is not None and data.files:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, pattern in data.files.items():
            lines += [f"  - split: {_quoted(split)}", f"    path: {_quoted(pattern)}"]
    return "\n".join([*lines, "---", ""])


def _contents(report: Report, data: Data | None) -> Iterator[str]:
    summary = report.summary
    yield "## What is in it"
    if data is None:
        yield f"{_many(summary.answers, 'answer')} about {_many(summary.records, 'record')}."
    else:
        said = ", ".join(f"{number:,} in `{split}`" for split, number in data.rows.items())
        yield f"{sum(data.rows.values()):,} rows ({said}), of a run over {_many(summary.records, 'record')}."
        yield _bullets(data.choice)
    if report.is_judged:
        chosen = None if data is None else data.chosen
        numbers = [one.judged if chosen is None else chosen.topics[one.topic] for one in summary.questions]
        rows = [
            (_text(one.topic), _text(one.template), f"{number:,}")
            for one, number in zip(summary.questions, numbers, strict=True)
        ]
        head = "Answers" if data is None else "Answers of the run" if chosen is None else "Answers in these rows"
        yield f"The questions, with `{{tag}}` for the main character's name, which is {_code(report.run.options.tag)}:"
        yield _table(("Topic", "Question", head), rows)
    else:
        yield "Each record brought a prompt of its own."


def _making(report: Report) -> Iterator[str]:
    options, summary = report.run.options, report.summary
    yield "## How it was made"
    yield _table(
        ("Model", "Revision", "Digest of its files (SHA-256)", "Engine", "PersQA"),
        [
            (_text(one.model), _code(one.revision), _code(one.files), _text(one.engine), _text(one.version))
            for one in summary.provenances
        ],
    )
    known = {one.model for one in summary.provenances}
    if unknown := [model for model in summary.models if model not in known]:
        yield f"Of these models only the name is known: {', '.join(map(_text, unknown))}."
    facts = {
        "Made": " to ".join(dict.fromkeys(f"{one:%Y-%m-%d}" for one in (summary.began, summary.ended) if one)),
        "Tag": _code(options.tag),
        "Tag policy": f"{_code(options.tag_policy)}: {_POLICIES[options.tag_policy]}",
        "Questions": f"pool {_code(options.pool)}, {options.questions_per_image} a record",
        "Seed": str(options.seed),
        "Sampling": _code(options.sampling.model_dump_json(exclude_none=True)),
        "Input": f"fingerprint {_code(report.run.fingerprint)}",
        "Part of it": "".join(f"{name} {n:,}" for name in ("limit", "sample") if (n := getattr(options, name))),
    }
    yield _table(("", ""), [(name, said) for name, said in facts.items() if said])
    yield "The system prompt:" if options.system_prompt else "There was no system prompt."
    yield _fenced(options.system_prompt)


_POLICIES = {
    "check": "answers were stored as they came",
    "repair": "an answer without the tag was asked for again, and at last the tag was written for the model",
    "prefill": "the tag was written for the model from the start",
}


def _quality(report: Report, data: Data | None) -> Iterator[str]:
    summary = report.summary
    yield "## How good it is"
    yield "" if data is None else "What follows is of the whole run, whether or not its items are among these rows."
    yield (
        f"Of {_many(report.progress.submitted, 'item')}, {report.ended:,} have ended. The intervals hold the true "
        "share 19 times out of 20."
    )
    yield _shares("Status", {str(status): found for status, found in report.by_status().items()})
    if report.progress.stop is not None:
        yield f"The run is not complete: {_text(str(report.progress.stop))}."
    if report.is_judged:
        yield "### How often the answers keep the tag rule"
        yield _table(("Topic", "Answers", "By itself", "Interval", "In the end"), [*_kept(report)])
    yield f"Generations that broke the rule: {_counts(report.kinds)}." if report.kinds else ""
    if reasons := {f"{reason} ({status})": n for (status, reason), n in report.reasons().items()}:
        yield f"Why items are not ok: {_counts(reasons)}."
    yield from _flags(report, None if data is None else data.chosen)
    if report.checked.checks:
        yield "### Spot checks"
        yield "For some items the question was asked once more, otherwise; those answers are not in the data."
        yield _bullets(map(_text, sentences(report.checked)))
    yield "### People"
    yield f"Reviewed by people: {_counts(summary.reviews)}." if summary.reviews else "Nobody has reviewed the answers."
    if summary.requeued:
        yield f"{_many(summary.requeued, 'answer was', 'answers were')} taken back and asked for again."
    if summary.repeated:
        yield "The answers that most items share:"
        yield _table(
            ("Items", "Topic", "Answer"), [(f"{n.items:,}", _text(n.topic), _text(n.answer)) for n in summary.repeated]
        )


def _flags(report: Report, chosen: Chosen | None) -> Iterator[str]:
    flags = report.flags()
    yield "### Flags"
    yield "What is worth a second look; a flag is evidence and no verdict." if flags else "No answer has a flag."
    yield _shares("Flag", flags)
    if flags and chosen is not None:
        yield f"Flags of these rows: {_counts(dict(chosen.flags.most_common())) or 'none'}."


def _kept(report: Report) -> Iterator[Sequence[str]]:
    for one in report.summary.questions:
        if one.judged:
            found, kept = report.by_itself(one), percent((one.judged - one.broken) / one.judged)
            itself = ("unknown", "") if found is None else (str(found), found.between)
            yield _text(one.topic), f"{one.judged:,}", *itself, kept


def _to_fill_in() -> Iterator[str]:
    yield "## To be filled in by people"
    yield _bullets([
        "**Licence of the pictures, and where they come from:** …",
        "**People in the pictures, and their consent:** …",
        "**Licence of the model, and what it says of its outputs:** …",
        "**Licence of this data set** (also `license` at the top): …",
        "**What it is meant for, and what not:** …",
        "**Whom to ask:** …",
    ])  # fmt: skip


def _shares(head: str, shares: Mapping[str, Share]) -> str:
    rows = [(_text(name), f"{found.part:,}", str(found), found.between) for name, found in shares.items()]
    return _table((head, "Items", "Share", "Interval"), rows)


def _many(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, its thousands set apart as in the tables."""
    return counted(number, one, many).replace(str(number), f"{number:,}", 1)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_text(name)} {number:,}" for name, number in counts.items())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = f"|{'---|' * len(heads)}"
    return "\n".join([f"| {' | '.join(heads)} |", rule, *lines]) if lines else ""


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _text(text: str) -> str:
    """A text of anybody's as nothing but text, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(shown(text, _SHORT).split()))


def _code(text: str) -> str:
    """A value as it stands, on one line and in a table."""
    one_line = " ".join(shown(text, _SHORT).split()).replace("`", "'").replace("|", "\\|")
    return f"`{one_line}`" if one_line else ""


def _fenced(text: str) -> str:
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown(text, _LONG)}\n{fence}"


def _quoted(text: str) -> str:
    return json.dumps(shown(text, _SHORT), ensure_ascii=False)
