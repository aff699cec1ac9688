"""Tiles: what the grid shows of each item, and what a person said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.verdicts import judge_text
from producer.web.pages.marking import FLAGGED, kind_of, marked, shown_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.close_ups import Tile
    from persqa.flags import Finding
    from persqa.items import ItemId
    from persqa.reviews import Review
    from persqa.verdicts import ViolationKind
    from producer.run_handle import RunHandle
    from producer.web.site import Site

#: Characters of an answer on a tile.
_CHARACTERS = 400
#: Reasons for which there is no picture to show.
PICTURELESS = frozenset({"invalid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One tile.

    Attributes:
        parts: the role, text and flag of each part of the answer, which may be one that a person wrote.
        kinds: how its generations broke the rule, without that of the answer itself.
        broken: how the answer of a person breaks the rule.
        flags: those of the model's answer, and of the picture.
    """

    tile: Tile
    review: Review | None
    parts: list[tuple[str, str, str]]
    kinds: tuple[str, ...]
    broken: ViolationKind | None
    flags: tuple[Finding, ...] = ()

    @property
    def has_picture(self) -> bool:
        """Whether a browser should ask for one: of a bad record or image there is none."""
        return self.tile.images > 0 and self.tile.status not in PICTURELESS

    @property
    def decision(self) -> str:
        """What a person decided; empty where nobody has."""
        return "" if self.review is None else str(self.review.decision or "")

    def meaning(self, found: Finding) -> str:
        """What one of its flags means, for people."""
        return FLAGGED[found.flag]

    @property
    def starred(self) -> bool:
        """Whether it has a star."""
        return self.review is not None and self.review.starred


def shown_tiles(site: Site, run: RunHandle, item_ids: Sequence[ItemId]) -> list[Shown]:
    """The tiles of these items, in their order."""
    store = site.client.store
    tiles = store.close_ups.tiles(run.run.id, item_ids)
    reviews = store.reviews.of(item_ids)
    broken, flags = store.queries.broken(item_ids), store.flags.of(item_ids)
    return [
        _shown(
            tile,
            reviews.get(tile.item_id),
            tuple(dict.fromkeys(str(one.kind) for one in broken.get(tile.item_id, ()))),
            flags.get(tile.item_id, ()),
        )
        for tile in tiles
    ]


def _shown(tile: Tile, review: Review | None, kinds: tuple[str, ...], flags: tuple[Finding, ...]) -> Shown:
    edited = None if review is None else review.answer
    broken = None if edited is None else judge_text(edited, tag=tile.tag, question=tile.question)
    answer, kind = (tile.answer, kind_of(tile.reason)) if edited is None else (edited, broken)
    own = flags if edited is None else ()
    parts = [] if answer is None else marked(answer, tag=tile.tag, question=tile.question, kind=kind, findings=own)
    return Shown(
        tile=tile,
        review=review,
        parts=shown_parts(parts, _CHARACTERS),
        kinds=tuple(kind for kind in kinds if kind != tile.reason),
        broken=broken,
        flags=tuple(found for found in flags if found.flag != tile.reason),
    )
