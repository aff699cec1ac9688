"""Facts: what a page says of its run: counts, how often the rule was kept, options, and where the page comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from persqa.words import listed
from producer.bars import bar, by_status, swatch
from producer.exporters.page.drawing import drawn
from producer.intervals import percent
from producer.markup import Markup, element, joined
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pydantic import JsonValue

    from persqa.progress import Progress
    from persqa.runs import Run
    from producer.charts import Figure
    from producer.intervals import Share
    from producer.sample import Sample

_SHORT = 300
_HEADINGS = ("Question", "Answers", "By itself", "19 times out of 20", "", "In the end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many answers to a question keep the rule.

    Attributes:
        answers: those that were judged.
        by_itself: those of which the model wrote the tag, at once or when it was asked again; None where it never had
            the chance to.
        in_the_end: also those for which the tag was written.
    """

    answers: int
    by_itself: Share | None
    in_the_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a page says of its run.

    Attributes:
        run: the run.
        progress: how far it is.
        sample: which of its items are shown.
        compliance: of each question, how many of its answers keep the rule.
        kinds: how often generations broke the rule, by kind.
        among: of what kind of items those are a sample.
        made_at: when the page was made, in UTC.
        version: that of PersQA.
        figures: what is drawn of the run, in place of the table of compliance.
        origin: what has answered, by name.
    """

    run: Run
    progress: Progress
    sample: Sample
    among: str
    made_at: datetime
    version: str
    compliance: Mapping[str, Kept] = field(default_factory=dict[str, Kept])
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    figures: Sequence[Figure] = ()
    origin: Mapping[str, str] = field(default_factory=dict[str, str])


def facts_about(facts: Facts) -> Markup:
    """The beginning of a page."""
    run = facts.run
    return element(
        "header",
        element("h1", run.name),
        element("p", _said(facts), class_="soft"),
        _counts(facts.progress),
        *([drawn(facts.figures)] if facts.figures else [_compliance(facts.compliance), _kinds(facts.kinds)]),
        element("details", element("summary", "What answered"), _table(facts.origin)) if facts.origin else None,
        element("details", element("summary", "Options of the run"), _table(_options(run))),
    )


def _said(facts: Facts) -> str:
    sample = facts.sample
    shows = sum(sample.drawn.values())
    parts = [
        f"{number:,} {status}" if sample.is_whole else f"{number:,} of {sample.whole[status]:,} {status}"
        for status, number in sample.drawn.items()
    ]
    drawn = f"{'all' if sample.is_whole else 'a sample of'} {shows:,} {facts.among} items"
    drawn += f": {listed(parts, 'and')}" if parts else ""
    made = f"{facts.made_at:%Y-%m-%d %H:%M} UTC"
    return f"Made on {made} by PersQA {facts.version} from a run that is {facts.progress.state}. It shows {drawn}."


def _counts(progress: Progress) -> Markup:
    counts = by_status(progress)
    rows = [
        element("li", swatch(status), f" {status} {number:,} ({percent(number / progress.submitted)})")
        for status, number in counts.items()
        if number
    ]
    return joined([bar(counts), element("ul", *rows, class_="legend")])


def _compliance(compliance: Mapping[str, Kept]) -> Markup | None:
    if not compliance:
        return None
    head = element("tr", *(element("th", name, scope="col") if name else element("td") for name in _HEADINGS))
    rows = [_row(question, kept) for question, kept in compliance.items()]
    title = "Compliance by question"
    table = element("table", element("thead", head), element("tbody", *rows))
    said = "How many answers keep the tag rule by themselves, and how many with those for which the tag was written."
    return joined([
        element("h2", title),
        element("p", said, class_="soft"),
        # Who has no mouse scrolls it with the keys.
        element("div", table, class_="scroll", tabindex=0, role="region", aria_label=title),
    ])  # fmt: skip


def _row(question: str, kept: Kept) -> Markup:
    share = kept.by_itself
    return element(
        "tr",
        element("th", shown(question, _SHORT), scope="row", class_="words"),
        element("td", f"{kept.answers:,}", class_="number"),
        element("td", "unknown" if share is None else str(share), class_="number"),
        element("td", share.between if share else None, class_="number"),
        element("td", _interval(share) if share else None),
        element("td", percent(kept.in_the_end / kept.answers), class_="number"),
    )


def _interval(share: Share) -> Markup:
    low, value, high = (round(100 * part, 1) for part in (share.low, share.value, share.high))
    line = element("line", x1=low, x2=max(high, low + 0.5), y1=6, y2=6, class_="between")
    whole = element("line", x1=0, x2=100, y1=6, y2=6, class_="whole")
    point = element("circle", cx=value, cy=6, r=3, class_="point")
    return element("svg", whole, line, point, width=108, height=12, viewBox="-4 0 108 12", aria_hidden="true")


def _kinds(kinds: Mapping[str, int]) -> Markup | None:
    if not kinds:
        return None
    said = ", ".join(f"{kind} {number:,}" for kind, number in kinds.items())
    return element("p", f"Generations that broke the tag rule: {said}.")


def _options(run: Run) -> dict[str, str]:
    """All that were given, and what is usual where it decides how answers come about."""
    given = run.options.model_dump(mode="json", exclude_none=True)
    sampling = given.pop("sampling")
    told = {
        name.replace("_", " "): _typed(value) for name, value in given.items() if value is not False and value != ""
    }
    return {
        "items": f"{run.items:,}",
        "submitted": f"{run.created_at:%Y-%m-%d %H:%M} UTC",
        **told,
        "sampling": ", ".join(f"{name.replace('_', ' ')} {_typed(value)}" for name, value in sampling.items()),
    }


def _typed(value: JsonValue) -> str:
    """A value as a person would type it: lists with commas, shares in percent."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_typed, value))
        case dict():
            return ", ".join(f"{name}={_percent(share)}" for name, share in value.items())
        case _:
            return str(value)


def _percent(share: JsonValue) -> str:
    return f"{100 * share:g}%" if isinstance(share, float) else _typed(share)


def _table(facts: Mapping[str, str]) -> Markup:
    rows = [
        element("tr", element("th", name, scope="row"), element("td", shown(value), class_="words"))
        for name, value in facts.items()
    ]
    return element("table", element("tbody", *rows))
