"""Beside: the card that an export puts beside its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persqa.reviews import Wanted, parse_exported
from producer.exporters import ONLY_PART
from producer.exporters.paths import Paths
from producer.reports.card import Chosen, Data, card
from producer.reports.report import report_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persqa.runs import Run
    from persqa.store import Store

#: Likewise of `reviewed`, by its value.
_REVIEWED = {
    Wanted.ACCEPTED: "Only what people accepted.",
    Wanted.NOT_REJECTED: "All but what people rejected.",
}
#: What is said of images by `paths`, where they stay outside.
_PATHS = {
    Paths.ABSOLUTE: "Image files are named by their absolute paths on the machine that made this data set, and are "
    "nowhere else: `--paths copy` puts the pictures into it.",
    Paths.RELATIVE: "Image files are named by their paths from the folder of this data set, and are not in it: "
    "`--paths copy` puts the pictures into it.",
}
#: What is said of the rows, by the option that chose them, whose value stands in place of {}.
_CHOICES = {
    "only": "Only items that are `{}`.",
    "chat": "Dialogues: all answered questions about a record are one row.",
    "without_flag": "Without answers that have one of these flags: {}.",
    "only_flag": "Only answers that have one of these flags: {}.",
    "one_per_image": "Only the first answer about each picture.",
    "no_duplicates": "Without answers that say the same about the same picture, or answer the same question.",
    "split": "No picture, nor one that looks the same, is in two parts.",
}


def describing(
    store: Store, run: Run, options: Mapping[str, object], chosen: Chosen
) -> Callable[[Mapping[str, int] | int], str]:
    """Makes the card of a data set of the numbers of its rows, by part, or of the number of all.

    Args:
        store: where the run is.
        run: the run.
        options: those of the export.
        chosen: counts the rows while they are written; of dialogues, which are of several answers, it is not used.
    """
    choice = [said.format(_listed(value)) for name, said in _CHOICES.items() if (value := options.get(name))]
    if (reviewed := options.get("reviewed")) is not None:
        choice.append(_REVIEWED[parse_exported(str(reviewed))])
    if options.get("paths") != Paths.COPY:
        choice.append(_PATHS[Paths(str(options.get("paths") or Paths.ABSOLUTE))])

    def describe(given: Mapping[str, int] | int) -> str:
        numbers = {ONLY_PART: given} if isinstance(given, int) else given
        # As `datasets` names the files of a part.
        folder = "{}/" if options.get("split") else ""
        files = {name: f"{folder.format(name)}data-*.arrow" for name in numbers}
        return card(
            report_of(store, run),
            Data(rows=numbers, files=files, choice=choice, chosen=None if options.get("chat") else chosen),
        )

    return describe


def _listed(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, (list, tuple)) else str(value)
