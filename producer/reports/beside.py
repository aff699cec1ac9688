"""Beside: the card that an export puts beside its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from producer.reports.card import Data, card
from producer.reports.report import report_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persqa.runs import Run
    from persqa.store import Store

#: What is said of the rows, by the option that chose them, whose value stands in place of {}.
_CHOICES = {
    "only": "Only items that are `{}`.",
    "reviewed": "Only items that people reviewed as `{}`.",
    "chat": "Dialogues: all answered questions about a record are one row.",
    "without_flag": "Without answers that have one of these flags: {}.",
    "only_flag": "Only answers that have one of these flags: {}.",
    "one_per_image": "Only the first answer about each picture.",
    "no_duplicates": "Without answers that say the same about the same picture, or answer the same question.",
    "split": "No picture, nor one that looks the same, is in two parts.",
}


def describing(store: Store, run: Run, options: Mapping[str, object]) -> Callable[[Mapping[str, int]], str]:
    """Makes the card of a data set of the numbers of its rows, by part.

    Args:
        store: where the run is.
        run: the run.
        options: those of the export.
    """
    choice = [said.format(_listed(value)) for name, said in _CHOICES.items() if (value := options.get(name))]

    def describe(numbers: Mapping[str, int]) -> str:
        # As `datasets` names the files of a part.
        folder = "{}/" if options.get("split") else ""
        files = {name: f"{folder.format(name)}data-*.arrow" for name in numbers}
        return card(report_of(store, run), Data(rows=numbers, files=files, choice=choice))

    return describe


def _listed(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list | tuple) else str(value)
