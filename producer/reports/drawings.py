"""Drawings: the figures of a report, as charts; the gallery draws the same ones of any part of a run."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.policies import Policy
from producer.charts import (
    SHARES,
    Bar,
    Bars,
    Cell,
    Column,
    Columns,
    Figure,
    Part,
    Table,
    Tick,
    axis,
    counted_bars,
    shares_to,
)
from producer.intervals import percent, share
from producer.scales import round_step, time_step
from producer.spot_checks import OTHERWISE, sentences
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persqa.summary import AskedQuestion
    from producer.intervals import Share
    from producer.reports.report import Report

_SHOWN_LETTERS = 90
_MOST_COLUMNS = 60
_MINUTE = 60
_NUMBER = "{:,} of {:,}"
#: How the most frequent one is said, as a template of its label, its number and that of all.
_OF_ITEMS, _OF_ANSWERS = f"{{}}: {_NUMBER} items", f"{{}}: {_NUMBER} answers"
#: About so many bars of lengths.
_BINS = 12


def drawings(report: Report) -> list[Figure]:
    """All figures of a run, in the order in which one asks; those without a value are left out."""
    found = [*([_questions(report)] if report.is_judged else []), _kinds(report), _flags(report), _reasons(report)]
    found += [_checks(report), _repeated(report), _lengths(report), _throughput(report)]
    return [figure for figure in found if figure.table.rows]


def _questions(report: Report) -> Figure:
    asked = sorted(
        (one for one in report.summary.questions if one.judged),
        key=lambda one: ((one.broken + one.forced) / one.judged, one.topic),
        reverse=True,
    )
    free = report.run.options.tag_policy is not Policy.PREFILL
    worst = asked[0] if asked else None
    return Figure(
        key="questions",
        title="Which questions keep the rule",
        says="" if worst is None else f"Least often {_topic(worst)}: {_said_of(report, worst)}.",
        drawing=Bars(tuple(_question(report, one) for one in asked), SHARES),
        table=Table(
            ("Question", "Answers", "First try", "Asked again", "Tag written", "Broken", "95 % interval"),
            tuple(tuple(map(Cell, (_topic(one), *_counts(one), _between(report.by_itself(one))))) for one in asked),
        ),
        unit="share of the answers",
        note="Dark: at the first try. Lighter: when asked again. Hatched: the tag was written for the model. The line "
        "is the 95 % interval of what the model does by itself."
        if free
        else "The tag was written for the model, so how often it would write it itself is unknown.",
    )


def _question(report: Report, one: AskedQuestion) -> Bar:
    parts, start = list[Part](), 0.0
    for look, number in (("first", one.first), ("repaired", one.repaired), ("forced", one.forced)):
        width = 100 * number / one.judged
        if number:
            parts.append(Part(start, width, look, f"{_topic(one)}: {number:,} {look}", ""))
        start += width
    found = report.by_itself(one)
    return Bar(
        label=_topic(one),
        value=percent((one.judged - one.broken) / one.judged),
        more=f"of {one.judged:,}",
        parts=tuple(parts),
        between=None if found is None else (100 * found.low, 100 * found.high),
        address="",
    )


def _kinds(report: Report) -> Figure:
    generations = max(report.summary.generations, sum(report.kinds.values()))
    shares = {kind: share(number, generations) for kind, number in report.kinds.items()}
    return _of_shares("kinds", "How generations break the rule", shares, "share of all generations", "Kind")


def _flags(report: Report) -> Figure:
    note = "A flag is evidence, and no verdict: an answer may have several, and a flagged answer may be good."
    unit = "share of the answers"
    return _of_shares("flags", "What is worth a second look", report.flags(), unit, "Flag", note=note)


def _checks(report: Report) -> Figure:
    asked = {OTHERWISE[check]: one.same for check, one in report.checked.checks.items()}
    title, unit = "What answers become when asked otherwise", "share of the answers that say the same"
    figure = _of_shares("checks", title, asked, unit, "Asked", note="; ".join(map(str, report.checked.from_picture)))
    return replace(figure, says="; ".join(sentences(replace(report.checked, from_picture=()))))


def _of_shares(key: str, title: str, shares: Mapping[str, Share], unit: str, head: str, *, note: str = "") -> Figure:
    end, marks = shares_to(max((found.high for found in shares.values()), default=1.0))
    first = next(iter(shares.items()), None)
    return Figure(
        key=key,
        title=title,
        says="" if first is None else f"Most often {first[0]}: {first[1]} ({first[1].between}).",
        drawing=Bars(
            tuple(
                Bar(
                    label=name,
                    value=percent(found.value),
                    more=f"{found.part:,}",
                    parts=(Part(0, 100 * found.value / end, "plain", f"{name}: {found.part:,}", ""),),
                    between=(100 * found.low / end, 100 * found.high / end),
                    address="",
                )
                for name, found in shares.items()
            ),
            marks,
        ),
        table=Table(
            (head, "Number", "Share", "95 % interval"),
            tuple(
                (Cell(name), Cell(f"{found.part:,}"), Cell(percent(found.value)), Cell(found.between))
                for name, found in shares.items()
            ),
        ),
        unit=unit,
        note=note,
    )


def _reasons(report: Report) -> Figure:
    rows = [(f"{reason} ({status})", number, "") for (status, reason), number in report.reasons().items()]
    return _counted(
        "reasons", "Why items are not ok", rows, whole=report.ended, head="Reason", unit="items", said=_OF_ITEMS
    )


def _repeated(report: Report) -> Figure:
    rows = [
        (f"{shown(one.answer, _SHOWN_LETTERS)} ({shown(one.topic, _SHOWN_LETTERS) or 'own prompt'})", one.items, "")
        for one in report.summary.repeated
    ]
    title = "The most frequent answers"
    return _counted(
        "answers", title, rows, whole=report.summary.answers, head="Answer", unit="items with it", said=_OF_ANSWERS
    )


def _lengths(report: Report) -> Figure:
    lengths = report.summary.lengths
    left, most = 0.95 * sum(lengths.values()), 0
    for most in sorted(lengths):
        left -= lengths[most]
        if left <= 0:
            break
    # The few that are longer are one bar.
    step = max(1, int(round_step((most + 1) / _BINS)))
    bins = Counter[int]()
    for ten, number in lengths.items():
        bins[min(ten // step, most // step + 1)] += number
    width = 10 * step
    rows = [
        (f"{width * at} to {width * (at + 1) - 1}" if at <= most // step else f"from {width * at}", bins[at], "")
        for at in range(min(bins, default=0), max(bins, default=-1) + 1)
    ]
    title, said = "How long answers are", f"{{}} characters: {_NUMBER} answers"
    whole = report.summary.answers
    return _counted("lengths", title, rows, whole=whole, head="Characters", unit="answers", said=said)


def _counted(  # noqa: PLR0913 - each is words of the figure
    key: str, title: str, rows: Sequence[tuple[str, int, str]], *, whole: int, head: str, unit: str, said: str
) -> Figure:
    most = max(rows, key=lambda row: row[1], default=None)
    return Figure(
        key=key,
        title=title,
        says="" if most is None else f"Most often {said.format(most[0], most[1], whole)}.",
        drawing=counted_bars(rows, whole=whole),
        table=Table((head, "Number"), tuple((Cell(label), Cell(f"{number:,}")) for label, number, _ in rows)),
        unit=unit,
    )


def _throughput(report: Report) -> Figure:
    minutes = report.summary.minutes
    first, last = (min(minutes), max(minutes)) if minutes else (0, 0)
    step = max(1, time_step(_MINUTE * (last - first + 1) / _MOST_COLUMNS) // _MINUTE)
    begin, counts = first // step * step, Counter[int]()
    for minute, number in minutes.items():
        counts[(minute - begin) // step] += number
    places = (last - begin) // step + 1
    most, up = axis(max((number / step for number in counts.values()), default=0))
    columns = tuple(
        Column(
            100 * place / places,
            100 / places,
            100 * number / step / most,
            f"{_at(begin + place * step)}: {number:,}",
            "",
        )
        for place, number in sorted(counts.items())
    )
    return Figure(
        key="throughput",
        title="Items that ended",
        says=_when(_at(first), _at(last)) if minutes else "",
        drawing=Columns(columns, (Tick(0, _at(begin)), Tick(100, _at(begin + places * step))), up),
        table=Table(
            ("From", "Items"),
            tuple((Cell(_at(begin + place * step)), Cell(f"{number:,}")) for place, number in sorted(counts.items())),
        ),
        unit="items a minute",
    )


def _when(first: str, last: str) -> str:
    return f"All at {first} UTC." if first == last else f"From {first} to {last} UTC."


def _at(minute: int) -> str:
    return time.strftime("%m-%d %H:%M", time.gmtime(minute * _MINUTE))


def _topic(one: AskedQuestion) -> str:
    return shown(one.topic, _SHOWN_LETTERS) or "own prompt"


def _counts(one: AskedQuestion) -> list[str]:
    return [f"{number:,}" for number in (one.judged, one.first, one.repaired, one.forced, one.broken)]


def _between(found: Share | None) -> str:
    return "unknown" if found is None else found.between


def _said_of(report: Report, one: AskedQuestion) -> str:
    found = report.by_itself(one)
    kept = f"{percent((one.judged - one.broken) / one.judged)} in the end"
    return kept if found is None else f"{found} by itself ({found.between}), {kept}"
