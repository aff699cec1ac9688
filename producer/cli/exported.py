"""What an export has written and left out, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from persqa.flags import Flag
from persqa.pairs import PENDING
from persqa.results import Status
from persqa.reviews import Decision, Wanted
from persqa.words import counted, to_type
from producer.cli.printing import plain, say
from producer.exporters.paths import Paths

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from producer import RunHandle
    from producer.cli.export_flags import Shape
    from producer.exporters.left import Left

#: The options that leave out rows.
CHOOSING = ("without_flag", "only_flag", "one_per_image", "no_duplicates")
#: What the rows that an option leaves out are, beside those with a flag or without one.
_LEFT = {
    "one_per_image": "not the first answer about their picture",
    "no_duplicates": "with a question or an answer that was there already",
}


@dataclass(slots=True)
class Exported:
    """What an export has written, and what it does not carry.

    Attributes:
        rows: those that options leave out; `rules` says why, and several rules may speak against one.
        failed: images that are not copied, with the first one in `image`; `remote`, those on servers.
        answers: those that dialogues leave out, with the first one; `dialogues`, those without an image that travels.
        parts: rows of each part of a split.
        unanswered: rows that are written without an answer.
        rejected: rows that are written though people reject their answer; `rewritten`, with the model's answer where
            people wrote another one.
    """

    reviewed: bool
    rows: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    failed: int = 0
    remote: int = 0
    answers: int = 0
    dialogues: int = 0
    image: str = ""
    answer: str = ""
    parts: dict[str, int] = field(default_factory=dict[str, int])
    unanswered: int = 0
    rejected: int = 0
    rewritten: int = 0

    def see(self, row: PairRow) -> None:
        """Count a row that is written."""
        own = row.edited_answer if self.reviewed else None
        self.unanswered += row.answer is None and own is None
        if not self.reviewed and row.review is Decision.REJECTED:
            self.rejected += 1
        elif not self.reviewed and row.edited_answer is not None:
            self.rewritten += 1

    def count(self, left: Left) -> None:
        """Count what is not written."""
        if left.rules:
            self.rows += 1
            self.rules.update(left.rules)
            return
        if not left.reference:
            self.answers += 1
            self.answer = self.answer or left.why
            return
        self.dialogues += left.dropped
        if left.remote:
            self.remote += 1
            return
        self.failed += 1
        self.image = self.image or left.why

    def counts(self, shape: Shape) -> dict[str, object]:
        """What is left out, as facts for a script."""
        copied = {"not_copied": self.failed, "not_fetched": self.remote}
        left_out = {"dialogues_left_out": self.dialogues, "answers_left_out": self.answers}
        told = self.failed or shape.paths == Paths.COPY or shape.chat is not None
        picky = any(getattr(shape, name) for name in CHOOSING)
        chosen = {"rows_left_out": self._rows()} if picky else {}
        return {**chosen, **(copied if told else {}), **(left_out if shape.chat is not None else {})}

    def _rows(self) -> dict[str, int]:
        return {"all": self.rows, **dict(self.rules.most_common())}

    def report(self, shape: Shape) -> None:
        """Print what is left out, and what is there that people do not want."""
        if any(getattr(shape, name) for name in CHOOSING):
            why = ", ".join(f"{number} {_left(rule)}" for rule, number in self.rules.most_common())
            say(f"{counted(self.rows, 'row')} left out{f': {plain(why)}' if why else ''}")
        if self.rejected:
            what = "row" if shape.chat is None else "answer"
            there = counted(self.rejected, f"rejected {what} is", f"rejected {what}s are")
            leaves = "leaves it out" if self.rejected == 1 else "leaves them out"
            say(f"{there} in the file; --reviewed {Wanted.NOT_REJECTED} {leaves}")
        if self.rewritten:
            there = counted(self.rewritten, "answer is", "answers are")
            say(f"{there} the model's, though people wrote others; --reviewed {Wanted.NOT_REJECTED} takes theirs")
        if self.failed:
            say(f"[yellow]images not copied: {self.failed}, the first: {plain(self.image)}[/]")
        if self.remote:
            say(f"images on servers, which an export does not fetch: {self.remote}")
        if self.dialogues:
            say(f"[yellow]dialogues left out for want of their images: {self.dialogues}[/]")
        if self.answers:
            say(f"[yellow]answers left out: {self.answers}, the first: {plain(self.answer)}[/]")


def _left(rule: str) -> str:
    """What rows are that a rule leaves out, as in `with the flag refusal`."""
    if rule.startswith("no "):
        return f"without the flag {rule.removeprefix('no ')}"
    return _LEFT.get(rule, f"with the flag {rule}")


def unanswered(exported: Exported, shape: Shape) -> str:
    """As in `, 10 of them without an answer (--only ok leaves them out)`; empty where every row has one."""
    number = exported.unanswered
    if not number or shape.chat is not None:
        return ""
    hint = "" if shape.only else f" (--only {Status.OK} leaves {'it' if number == 1 else 'them'} out)"
    return f", {number} of them without an answer{hint}"


def why_none(handle: RunHandle, shape: Shape) -> str:
    """Why an export has no rows, as far as one option is the cause."""
    if shape.reviewed == Wanted.ACCEPTED and next(handle.results(review=Wanted.ACCEPTED), None) is None:
        return "nobody has accepted anything of this run"
    progress = handle.progress()
    counts = {**progress.ended, PENDING: progress.pending}
    only = shape.only or (Status.OK if shape.chat is not None and shape.reviewed is None else None)
    if only is not None and not counts[only]:
        return f"no item of this run is {only}"
    wanted = [] if shape.only_flag is None else [name.strip() for name in shape.only_flag.split(",")]
    if wanted and not any(handle.flags().get(name) for name in wanted):
        command = to_type(f"persqa report {handle.name} --look-over")
        unseen = f"; {Flag.STOCK_ANSWER} is only set by `{command}`" if Flag.STOCK_ANSWER in wanted else ""
        return f"no item of this run has the flag {' or '.join(wanted)}{unseen}"
    return "the options together leave out every item"
