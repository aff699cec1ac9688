"""Drawn: all figures of a view, from a catalog's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from persqa.items import ItemId
from producer.web.catalog import Facet, Span
from producer.web.figures.addresses import Addresses
from producer.web.figures.answers import MOST_ANSWERS, MOST_TOPICS, Shared, most_frequent
from producer.web.figures.keeping import keeping, kinds, said
from producer.web.figures.sizes import lengths, throughput, times
from producer.web.figures.tallies import Kept, bits, frequent, kept_by, ways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from persqa.runs import Run
    from producer.charts import Figure
    from producer.web.catalog import Catalog, View

    #: The answers of some items, as they are stored.
    Texts = Callable[[Sequence[ItemId]], Mapping[ItemId, str]]


class Drawn:
    """The figures of one view, as of one moment.

    Attributes:
        items: how many items the view has.
        kept: how many of their answers keep the rule.
        says: that in a sentence.
    """

    def __init__(self, run: Run, catalog: Catalog, view: View, texts: Texts) -> None:
        self._run, self._catalog, self._texts = run, catalog, texts
        self._addresses = Addresses(run.name, view)
        self._columns = catalog.columns(*_COLUMNS, view=view)
        self._ids = self._columns["id"]
        self.items = len(self._ids)
        self._ways = ways(self._column(Facet.STATUS), self._column(Facet.RUNG), *map(self._names, _CODED))
        self.kept = kept_by(np.zeros(self.items, np.int64), self._ways).get(0, Kept())
        self.says = said(self.kept, run.options.tag_policy)

    def figures(self) -> list[Figure]:
        """All figures, in the order in which one asks."""
        found: list[Figure] = []
        if not self._run.options.verbatim:
            # Where records bring prompts of their own, nothing is judged.
            found += [self._keeping("topics", "Which questions keep the rule", Facet.TOPIC)]
            found += [self._keeping("models", "Which models keep the rule", Facet.MODEL)]
            found += [self._kinds()]
        image, engine = self._column("image_seconds"), self._column("engine_seconds")
        return [
            *found,
            self._answers(),
            lengths(self._column("answer_length"), self._addresses),
            times("image-times", "How long loading the images took", Span.IMAGE_SECONDS, image, self._addresses),
            times("engine-times", "How long the model took", Span.ENGINE_SECONDS, engine, self._addresses),
            throughput(self._column("finished"), self._addresses),
        ]

    def _keeping(self, key: str, title: str, facet: Facet) -> Figure:
        names, counts = self._names(facet), dict[str, Kept]()
        for code, kept in kept_by(self._column(facet), self._ways).items():
            counts[names[code]] = Kept(*map(sum, zip(kept, counts.get(names[code], Kept()), strict=True)))
        return keeping(key, title, facet, counts, self._run.options.tag_policy, self._addresses)

    def _kinds(self) -> Figure:
        counts = zip(self._names(Facet.KIND), bits(self._column(Facet.KIND)), strict=False)
        return kinds({kind: number for kind, number in counts if number}, self.kept, self._addresses)

    def _answers(self) -> Figure:
        topics, keys = self._column(Facet.TOPIC), self._column("answer_key")
        found = frequent(topics, keys, self._column("picture_key"), each=MOST_ANSWERS, groups=MOST_TOPICS)
        answers = np.bincount(topics[keys != 0])
        ids = [ItemId(int(self._ids[one.place])) for one in found]
        texts, names = self._texts(ids), self._names(Facet.TOPIC)
        shared = [
            Shared(
                topic=names[one.group],
                answer=texts[item],
                items=one.items,
                pictures=one.pictures,
                answers=int(answers[one.group]),
            )
            for item, one in zip(ids, found, strict=True)
            # It may have been taken back meanwhile.
            if item in texts
        ]
        return most_frequent(shared, self._addresses)

    def _column(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]

    def _names(self, facet: Facet) -> Sequence[str]:
        return self._catalog.names(facet)


_CODED = (Facet.STATUS, Facet.RUNG)
_COLUMNS = (
    "id",
    *(facet.value for facet in (*_CODED, Facet.TOPIC, Facet.MODEL, Facet.KIND)),
    *("answer_length", "answer_key", "picture_key", "image_seconds", "engine_seconds", "finished"),
)
