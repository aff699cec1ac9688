"""Keeping the rule: how often, by question, by model and by kind of violation, and how sure one can be of it.

An answer that was repaired, or whose tag was written for the model, keeps the rule, and says nothing of how often the
model keeps it by itself. So the three are counted apart, and an interval is given of what the model does by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.policies import Policy, Rung
from persqa.results import Status
from producer.charts import SHARES, Bar, Bars, Cell, Figure, Part, Table, shares_to
from producer.intervals import Share, percent, share
from producer.web.catalog import Facet
from producer.web.figures.addresses import JUDGED, Addresses
from producer.web.figures.tallies import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


#: Bars of one figure; the rest is one bar, and in the table.
MOST_BARS = 20
_MOST_ROWS = 200
_FORCED_ONLY = (
    "The tag was written for the model, as the policy `prefill` says: how often it would write it itself is unknown."
)
_MEANING = (
    "Dark: at the first try, with its 95 % interval. Lighter: when asked again. Hatched: the tag was written for the "
    "model. What is left to 100 % breaks the rule."
)


def keeping(
    key: str, title: str, facet: Facet, counts: Mapping[str, Kept], policy: Policy, addresses: Addresses
) -> Figure:
    """The answers of each value of a facet that keep the rule, the weakest value on top.

    Args:
        key: the figure's name.
        title: the figure's title.
        facet: what is told apart.
        counts: what each value keeps; "" is of items whose value is not known by name.
        policy: the one of the run.
        addresses: of the items behind the bars.
    """
    rows = sorted(counts.items(), key=lambda row: (_first(row[1], policy).value, -row[1].judged, row[0]))
    shown = rows[:MOST_BARS]
    bars = [_bar(value or "others", kept, policy, _own(facet, value), addresses) for value, kept in shown]
    if rest := rows[MOST_BARS:]:
        bars.append(
            _bar(f"{len(rest):,} more", _sum(kept for _, kept in rest), policy, {Facet.STATUS: JUDGED}, addresses)
        )
    return Figure(
        key=key,
        title=title,
        says=_compared(rows, policy),
        drawing=Bars(tuple(bars), SHARES),
        table=_table(facet, rows[:_MOST_ROWS], policy, addresses),
        unit="share of the answers that were judged",
        note=_FORCED_ONLY if policy is Policy.PREFILL else _MEANING,
    )


def _compared(rows: Sequence[tuple[str, Kept]], policy: Policy) -> str:
    """The weakest and the strongest value, in a sentence."""
    if not rows:
        return "No answer was judged yet."
    (low, weakest), (high, strongest) = rows[0], rows[-1]
    if len(rows) == 1:
        return f"All answers are of {low or 'others'}: {_shown(_first(weakest, policy))}."
    least, most = (_shown(_first(kept, policy)) for kept in (weakest, strongest))
    return f"Least often {low or 'others'}, in {least}; most often {high or 'others'}, in {most}."


def said(kept: Kept, policy: Policy) -> str:
    """What the counts say, in a sentence."""
    answers = f"Of {kept.judged:,} answers, "
    first = share(kept.first, kept.judged)
    broken = f"{percent(kept.broken / kept.judged)} break the rule." if kept.judged else ""
    if not kept.judged:
        return "No answer was judged yet."
    if policy is Policy.PREFILL:
        forced = _shown(share(kept.forced, kept.judged))
        return f"{answers}{forced} keep the rule with the tag written for the model; {broken}"
    said = f"{answers}{_shown(first)} keep the rule at the first try"
    if policy is Policy.CHECK:
        return f"{said}; {broken}"
    repaired, forced = percent(kept.repaired / kept.judged), percent(kept.forced / kept.judged)
    return f"{said}, {repaired} when asked again, {forced} with the tag written for the model; {broken}"


def kinds(counts: Mapping[str, int], kept: Kept, addresses: Addresses) -> Figure:
    """The answers that had a violation of each kind in any try, the most frequent kind on top."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    # Violations of items that were given up or asked again count, too, so that no share may exceed the whole.
    shares = [
        (kind, share(number, max(kept.judged, number)), addresses.to({Facet.KIND: (kind,)})) for kind, number in rows
    ]
    most = rows[0] if rows else None
    end, marks = shares_to(max((found.high for _, found, _ in shares), default=1.0))
    return Figure(
        key="kinds",
        title="How answers break the rule",
        says=f"The most frequent kind is {most[0]}, in {most[1]:,} items." if most else "No answer broke the rule.",
        drawing=Bars(
            tuple(
                Bar(
                    label=kind,
                    value=percent(found.value),
                    more=f"{found.part:,}",
                    parts=(Part(0, 100 * found.value / end, "plain", f"{kind}: {found.part:,} items", address),),
                    between=(100 * found.low / end, 100 * found.high / end),
                    address=address,
                )
                for kind, found, address in shares
            ),
            marks,
        ),
        table=Table(
            ("Kind", "Items", "Share", "95 % interval"),
            tuple(
                (Cell(kind, address), Cell(f"{found.part:,}", address), Cell(percent(found.value)), Cell(found.between))
                for kind, found, address in shares
            ),
        ),
        unit="share of the answers that were judged",
        note="An item counts once for each kind that any of its tries had, also where a later try keeps the rule.",
    )


def _sum(counts: Iterable[Kept]) -> Kept:
    return Kept(*(sum(numbers) for numbers in zip(Kept(), *counts, strict=True)))


def _first(kept: Kept, policy: Policy) -> Share:
    """What the interval is of."""
    return share(kept.forced if policy is Policy.PREFILL else kept.first, kept.judged)


def _shown(found: Share) -> str:
    return f"{percent(found.value)} ({found.between})"


def _bar(label: str, kept: Kept, policy: Policy, own: Mapping[Facet, Sequence[str]], addresses: Addresses) -> Bar:
    parts, start = list[Part](), 0.0
    for look, name, number, behind in _parts(kept, own, addresses):
        width = 100 * number / kept.judged
        if number:
            parts.append(Part(start, width, look, f"{label}: {number:,} {name}", behind))
        start += width
    found = _first(kept, policy)
    both = policy is Policy.REPAIR
    return Bar(
        label=label,
        value=percent(found.value),
        more=f"{percent(kept.ok / kept.judged)} in the end" if both else f"of {kept.judged:,}",
        parts=tuple(parts),
        between=(100 * found.low, 100 * found.high),
        address=addresses.to(own),
    )


def _own(facet: Facet, value: str) -> Mapping[Facet, Sequence[str]]:
    """What only the answers of a value have; without a name, no address tells them from others."""
    return {Facet.STATUS: JUDGED, **({facet: (value,)} if value else {})}


def _parts(kept: Kept, own: Mapping[Facet, Sequence[str]], addresses: Addresses) -> Sequence[tuple[str, str, int, str]]:
    """The parts of a bar: their look, what they are, how many, and where they are shown."""

    def ok(rung: Rung) -> str:
        return addresses.to({**own, Facet.STATUS: (Status.OK,), Facet.RUNG: (rung,)})

    return (
        ("first", "at the first try", kept.first, ok(Rung.FREE)),
        ("repaired", "when asked again", kept.repaired, ok(Rung.RESEED)),
        ("forced", "with the tag written for the model", kept.forced, ok(Rung.PREFILL)),
    )


def _table(facet: Facet, rows: Sequence[tuple[str, Kept]], policy: Policy, addresses: Addresses) -> Table:
    heads = (
        facet.value.capitalize(),
        "Answers",
        "First try",
        "Asked again",
        "Tag written",
        "Broken",
        "Share",
        "95 % interval",
    )
    made: list[tuple[Cell, ...]] = []
    for value, kept in rows:
        own, found = _own(facet, value), _first(kept, policy)
        broken = addresses.to({**own, Facet.STATUS: (Status.NONCOMPLIANT,)})
        made.append(
            (
                Cell(value or "others", addresses.to(own)),
                Cell(f"{kept.judged:,}", addresses.to(own)),
                *(
                    Cell(f"{number:,}", behind if number else "")
                    for _, _, number, behind in _parts(kept, own, addresses)
                ),
                Cell(f"{kept.broken:,}", broken if kept.broken else ""),
                Cell(percent(found.value)),
                Cell(found.between),
            )
        )
    return Table(heads, tuple(made))
