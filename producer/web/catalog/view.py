"""View: what an address says of a gallery: facet values kept and left out, a search, an order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, urlencode

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from producer.web.catalog.facet import WORDS, Facet
from producer.web.catalog.span import Span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_NOT: Final = "not-"
_SEARCH: Final = "q"
_ORDER: Final = "order"
#: What addresses of pages say beside the view.
_BESIDE = ("at", "place", "size", "token")
_LONGEST_SEARCH: Final = 200
_LONGEST_VALUE: Final = 1000
_MOST_VALUES: Final = 100


class Order(StrEnum):
    """The order of items; those without an answer, or a time, come last, and equal ones in the input's order."""

    INPUT = "input"
    NEWEST = "newest"
    LONGEST = "longest"
    SHORTEST = "shortest"
    SLOWEST = "slowest"
    FASTEST = "fastest"


Choices = MappingProxyType[Facet, tuple[str, ...]]
_NOTHING: Choices = MappingProxyType({})
Spans = MappingProxyType[Span, tuple[float, float]]
_NO_SPANS: Spans = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A view of a run's items; equal views have the same address.

    Attributes:
        keep: for each facet, the values of which an item must have at least one.
        leave_out: for each facet, the values of which an item may have none.
        search: what an item must say in its question, answer, image reference or record id; or its number.
        order: the order of the items.
        spans: for each quantity, the least value that an item may have, and the first one that is too large.
    """

    keep: Mapping[Facet, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    leave_out: Mapping[Facet, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    search: str = ""
    order: Order = Order.INPUT
    spans: Mapping[Span, tuple[float, float]] = field(default_factory=lambda: _NO_SPANS)

    def __post_init__(self) -> None:
        """Bring what is given into the one form that it has in an address."""
        object.__setattr__(self, "keep", _in_form(self.keep))
        object.__setattr__(self, "leave_out", _in_form(self.leave_out))
        spans = {span: self.spans[span] for span in Span if span in self.spans}
        object.__setattr__(self, "spans", MappingProxyType(spans))
        object.__setattr__(self, "search", self.search.strip())

    @classmethod
    def parse(cls, query: Iterable[tuple[str, str]], *, beside: Collection[str] = _BESIDE) -> Self:
        """Read the names and values of an address.

        Args:
            query: the names and values, in any order.
            beside: names that say something else than the view, and are passed over.

        Raises:
            SettingsError: a name or value is unknown, too long or given twice; the sentence says what there is.
        """
        keep: defaultdict[Facet, list[str]] = defaultdict(list)
        leave_out: defaultdict[Facet, list[str]] = defaultdict(list)
        single: dict[str, str] = {}
        for name, value in query:
            if name in beside:
                continue
            if name in (_SEARCH, _ORDER, *Span):
                if single.setdefault(name, value) != value:
                    raise SettingsError(f"the address says {name} twice: leave one of them out")
                continue
            plain = name.removeprefix(_NOT)
            facet = parse_choice(plain, list(Facet), name="filter")
            (keep if plain == name else leave_out)[facet].append(_value(facet, value))
        if max(map(len, (*keep.values(), *leave_out.values())), default=0) > _MOST_VALUES:
            raise SettingsError(f"the address names more than {_MOST_VALUES} values of one filter: leave some out")
        search = single.get(_SEARCH, "")
        if len(search) > _LONGEST_SEARCH:
            raise SettingsError(
                f"the search text is too long: {_LONGEST_SEARCH} characters are enough to find anything"
            )
        order = parse_choice(single.get(_ORDER, Order.INPUT), list(Order), name="order")
        return cls(
            keep={facet: tuple(values) for facet, values in keep.items()},
            leave_out={facet: tuple(values) for facet, values in leave_out.items()},
            search=search,
            order=order,
            spans={span: span.parse(single[span]) for span in Span if span in single},
        )

    def query(self, **changes: object) -> str:
        """The address, without the question mark.

        Args:
            changes: `search` and `order` replace the view's own; any other name is put behind it, such as `at`, unless
                its value is None.
        """
        pairs = [(facet.value, value) for facet, values in self.keep.items() for value in values]
        pairs += [(_NOT + facet.value, value) for facet, values in self.leave_out.items() for value in values]
        pairs += [(span.value, span.written(*between)) for span, between in self.spans.items()]
        if search := str(changes.pop("search", self.search)):
            pairs.append((_SEARCH, search))
        if (order := Order(str(changes.pop("order", self.order)))) is not Order.INPUT:
            pairs.append((_ORDER, order.value))
        pairs += [(name, str(value)) for name, value in changes.items() if value is not None]
        return urlencode(pairs, quote_via=quote, safe="")

    def toggled(self, facet: Facet, value: str, *, leave_out: bool = False) -> View:
        """The view that keeps the value too, or no longer; with `leave_out`, that leaves it out, or no longer."""
        ours, others = (self.leave_out, self.keep) if leave_out else (self.keep, self.leave_out)
        values = ours.get(facet, ())
        there = value in values
        kept = {**ours, facet: tuple(v for v in values if v != value) if there else (*values, value)}
        # Nobody means both at once.
        rest = {**others, facet: tuple(v for v in others.get(facet, ()) if v != value)}
        return replace(self, keep=rest if leave_out else kept, leave_out=kept if leave_out else rest)

    def without(self, facet: Facet) -> View:
        """The view that says nothing of this facet."""
        return replace(
            self,
            keep={name: values for name, values in self.keep.items() if name is not facet},
            leave_out={name: values for name, values in self.leave_out.items() if name is not facet},
        )

    def spanning(self, span: Span, low: float, high: float) -> View:
        """The view of its items that have at least `low` of a quantity and less than `high`."""
        return replace(self, spans={**self.spans, span: (low, high)})

    def without_span(self, span: Span) -> View:
        """The view that says nothing of this quantity."""
        return replace(self, spans={name: between for name, between in self.spans.items() if name is not span})

    @property
    def is_whole(self) -> bool:
        """Whether it shows every item, in whatever order."""
        return not (self.keep or self.leave_out or self.spans or self.search)

    @cached_property
    def chosen(self) -> str:
        """What chooses its items: the address in the input's order."""
        return self.query(order=Order.INPUT)

    @cached_property
    def _address(self) -> str:
        return self.query()

    def __eq__(self, other: object) -> bool:
        """Whether it has the same address."""
        return isinstance(other, View) and self._address == other._address

    def __hash__(self) -> int:
        """Of the address."""
        return hash(self._address)


def _in_form(choices: Mapping[Facet, tuple[str, ...]]) -> Choices:
    """In the order of the facets, values sorted; what names no value is left out."""
    return MappingProxyType({facet: tuple(sorted(set(choices[facet]))) for facet in Facet if choices.get(facet)})


def _value(facet: Facet, value: str) -> str:
    if (words := WORDS.get(facet)) is not None:
        return parse_choice(value, words, name=facet.value)
    if not value or len(value) > _LONGEST_VALUE:
        said = "is empty" if not value else f"is longer than {_LONGEST_VALUE} characters"
        raise SettingsError(f"the filter {facet.value} {said}: choose one of the values on the page")
    return value
