"""Choosing: which rows of a run an export has, and into which parts they go; what is left out is told one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from persqa.errors import SettingsError
from persqa.results import Status
from persqa.reviews import Decision
from persqa.words import in_percent, option
from producer.compression import COMPRESSIONS
from producer.exporters.left import Left
from producer.kin import Kin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from persqa.pairs import Flagged, PairRow
    from persqa.runs import Run
    from persqa.store import Store
    from producer.exporters.left import OnLeft

_PART = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]{0,39})\s*=\s*(\d{1,3}(?:\.\d{1,6})?)\s*(%?)\s*")
_EXAMPLE = "write it as in train=90%,test=10%"
#: Told of each part that is written, and how many rows it has.
OnPart: TypeAlias = Callable[[str, int], None]
#: Told of each row that is written.
OnRow: TypeAlias = "Callable[[PairRow], None]"
#: Parts may come to a little less or more than the whole by rounding, in percent.
_ROUNDING = 1e-6


def parse_split(text: str) -> dict[str, float]:
    """The parts of a split by name, as shares from 0 to 1; `train=90%,test=10%`.

    Raises:
        SettingsError: it is no split; the message says what to write.
    """
    parts = dict[str, float]()
    for piece in text.split(","):
        matched = _PART.fullmatch(piece)
        if matched is None:
            raise SettingsError(f"{option('split')}: {piece!r} is no part of a split: {_EXAMPLE}")
        if not matched[3]:
            right = f"{matched[1]}={in_percent(matched[2])}"
            raise SettingsError(f"{option('split')}: {piece.strip()!r} lacks the %: write {right}")
        if matched[1] in parts:
            raise SettingsError(f"{option('split')}: two parts are named {matched[1]}: {_EXAMPLE}")
        parts[matched[1]] = float(matched[2])
    whole = sum(parts.values())
    if abs(whole - 100) > _ROUNDING or min(parts.values()) <= 0:
        raise SettingsError(f"{option('split')}: the parts are {whole:g} % together, and must be 100 %: {_EXAMPLE}")
    return {name: share / 100 for name, share in parts.items()}


def part_at(parts: Mapping[str, float], share: float) -> str:
    """The part in which a number from 0 to below 1 falls."""
    name, end = "", 0.0
    for name, width in parts.items():
        end += width
        if share < end:
            return name
    return name


def part_file(target: Path, part: str) -> Path:
    """The file of a part: its name goes before the suffix, or the two of a compressed file."""
    last = target.suffix if target.suffix.lower() in COMPRESSIONS else ""
    name = target.with_suffix("") if last else target
    return target.with_name(f"{name.stem}-{part}{name.suffix}{last}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Chooses among the rows of a run.

    Attributes:
        kin: which records have a picture in common.
        seed: that of the run, which decides what goes into which part.
        one_per_image: only the first answer about each picture.
        no_duplicates: an answer about a picture is left out where the question, or the answer, was there already.
        on_left: called for each row that is left out.
        parts: those of a split; `part` is the one that is written.
    """

    kin: Kin
    on_left: OnLeft
    seed: int = 0
    one_per_image: bool = False
    no_duplicates: bool = False
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    part: str = ""

    def parted(self) -> Iterator[tuple[str, Chooser]]:
        """Each part by its name, with what chooses its rows."""
        for name in self.parts:
            yield name, replace(self, part=name)

    def of_part(self, rows: Iterable[PairRow]) -> Iterator[PairRow]:
        """The rows of the part that is written, or all, in their order."""
        for row in rows:
            if not self.part or part_at(self.parts, self.kin.share(row.position, self.seed)) == self.part:
                yield row

    def each(self, rows: Iterable[PairRow]) -> Iterator[PairRow]:
        """The rows of this part that stay, in their order."""
        pictures, said = set[int](), set[tuple[int, str, str]]()
        for row in rows:
            first = self.kin.first(row.position)
            if self.one_per_image and (row.answer is None or first in pictures):
                self._leave(row, "one_per_image", "no answer" if row.answer is None else "another one has its picture")
                continue
            told = _told(row, first)
            if self.no_duplicates and not said.isdisjoint(told):
                self._leave(row, "no_duplicates", "its question or its answer is there already, about this picture")
                continue
            pictures.add(first)
            said.update(told if self.no_duplicates else ())
            yield row

    def _leave(self, row: PairRow, by: str, why: str) -> None:
        self.on_left(Left(reference="", why=f"record {row.position + 1}: {why}", rules=(by,)))


def by_flags(rows: Iterable[PairRow], flagged: Flagged, on_left: OnLeft) -> Iterator[PairRow]:
    """The rows that this chooses; what is left out is told of."""
    for row in rows:
        if rules := flagged.against(row.flags):
            on_left(Left(reference="", why=f"record {row.position + 1}: {', '.join(rules)}", dropped=True, rules=rules))
        else:
            yield row


def is_good(row: PairRow) -> bool:
    """Whether the rule takes the answer, or a person does."""
    return row.status == Status.OK or row.review is Decision.ACCEPTED or row.edited_answer is not None


def chooser_for(
    store: Store, run: Run, parts: Mapping[str, float], *, on_left: OnLeft, one_per_image: bool, no_duplicates: bool
) -> Chooser:
    """What chooses among the rows of a run; reads the references of all its pictures."""
    return Chooser(
        kin=Kin(store.pictures.of(run.id)),
        on_left=on_left,
        seed=run.options.seed,
        one_per_image=one_per_image,
        no_duplicates=no_duplicates,
        parts=parts,
    )


def _told(row: PairRow, first: int) -> set[tuple[int, str, str]]:
    """What a row says about a picture: its question, and its answer whatever its capitals and blanks; or nothing."""
    answer = row.answer if row.edited_answer is None else row.edited_answer
    if answer is None:
        return set()
    return {(first, "question", row.question), (first, "answer", " ".join(answer.casefold().split()))}
