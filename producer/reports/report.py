"""Report: all that is said of one run, as of one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import persqa
from persqa.clock import now
from persqa.policies import Policy
from persqa.results import Status
from producer.intervals import Share, share
from producer.spot_checks import Summary as Checked
from producer.spot_checks import summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from persqa.progress import Progress
    from persqa.runs import Run
    from persqa.store import Store
    from persqa.summary import AskedQuestion, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report.

    Attributes:
        run: the run.
        progress: how far it is.
        summary: what it comes to.
        kinds: how often generations broke the rule, by kind.
        checked: what its spot checks say; without checks where there are none.
        made_at: when the report was made, in UTC.
        version: that of PersQA.
    """

    run: Run
    progress: Progress
    summary: Summary
    kinds: Mapping[str, int]
    checked: Checked
    made_at: datetime
    version: str

    @property
    def ended(self) -> int:
        """Items that have ended."""
        return self.progress.submitted - self.progress.pending

    def by_status(self) -> dict[Status, Share]:
        """The share of each status among the items that have ended."""
        return {status: share(number, self.ended) for status, number in self.progress.ended.items()}

    def flags(self) -> dict[str, Share]:
        """The share of each flag among the answers, the most frequent one first."""
        # A flag of a picture may be on an item without an answer.
        return {flag: share(n, max(n, self.summary.answers)) for flag, n in self.summary.flags.items()}

    def reasons(self) -> dict[tuple[str, str], int]:
        """By status and reason, how many items are not `ok`, the most frequent first."""
        return dict(sorted(self.summary.reasons.items(), key=lambda one: (-one[1], one[0])))

    def by_itself(self, question: AskedQuestion) -> Share | None:
        """How often the model keeps the rule by itself; None where the tag is written for it from the start."""
        kept = question.first + question.repaired
        return None if self.run.options.tag_policy is Policy.PREFILL else share(kept, question.judged)

    @property
    def is_judged(self) -> bool:
        """Whether the tag rule applies; it does not where records bring prompts of their own."""
        return not self.run.options.verbatim

    @property
    def items_per_second(self) -> float | None:
        """Over the whole time from the first to the last result, rests included."""
        began, ended = self.summary.began, self.summary.ended
        seconds = 0.0 if began is None or ended is None else (ended - began).total_seconds()
        return self.ended / seconds if seconds > 0 else None


def origin(report: Report) -> dict[str, str]:
    """What has answered, in words, by the model's name."""
    said: dict[str, list[str]] = {}
    for one in report.summary.provenances:
        files = [f"revision {one.revision}"] if one.revision else []
        files += [f"files {one.files}"] if one.files else []
        said.setdefault(one.model, []).append(", ".join([*files, one.engine, f"PersQA {one.version}"]))
    return {model: "; ".join(lines) for model, lines in said.items()}


def report_of(store: Store, run: Run) -> Report:
    """The report about a run, as it is now; the time grows with the run."""
    return Report(
        run=run,
        progress=store.queries.progress(run.id),
        summary=store.summaries.of(run),
        kinds=store.queries.kinds(run.id),
        checked=summary(store.spot_checks.of(run.id)),
        made_at=now(),
        version=persqa.__version__,
    )
