"""What a person sees who waits for a run: a bar that always moves, or lines where there is no terminal."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from persqa.clock import duration, seconds_since
from persqa.results import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from datetime import datetime

    from persqa.phases import Hindrance
    from persqa.progress import Progress

#: Shares of the run at which a line is printed where there is no terminal.
_TENTH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What goes on during a wait, besides the counts.

    Attributes:
        doing: what has to end before answers come; empty while they come.
        since: when that began.
        usual: how long it takes as a rule.
        longest: after how many seconds it takes longer than that.
        log: the file that has more about it.
        hindrances: what has to be waited out.
        rate: items per second at present.
    """

    doing: str = ""
    since: datetime | None = None
    usual: str | None = None
    longest: float | None = None
    log: str | None = None
    hindrances: tuple[Hindrance, ...] = ()
    rate: float | None = None

    @property
    def sentence(self) -> str:
        """What is waited for and how long it takes, without the time that has passed."""
        return f"{self.doing} (usually {self.usual})" if self.usual else self.doing

    @property
    def reason(self) -> str:
        """Why answers do not come, for who has waited long enough; empty where they do."""
        return "; ".join(one.sentence for one in self.hindrances) or self.doing

    @property
    def is_late(self) -> bool:
        """Whether it takes longer than usual."""
        return self.since is not None and self.longest is not None and seconds_since(self.since) > self.longest


#: Shows the progress, if it can be read at present, and the news.
ShowNews: TypeAlias = "Callable[[Progress | None, News], None]"


@contextmanager
def wait_bar(name: str, console: Console | None = None) -> Generator[ShowNews]:
    """A bar with a line below it, on standard error; without a terminal, lines.

    Args:
        name: of the run.
        console: where to show it instead.
    """
    chosen = console or Console(stderr=True)
    if not chosen.is_terminal:
        yield _Lines(name, chosen).show
        return
    with _WaitBar(*_columns(), console=chosen) as bar:
        task = bar.add_task(_cut(name, chosen.width // 5), total=None, rate="", left="")

        def show(progress: Progress | None, news: News) -> None:
            if progress is not None:
                left = duration(progress.pending / news.rate) if news.rate else ""
                bar.update(
                    task,
                    total=progress.submitted,
                    completed=progress.submitted - progress.pending,
                    rate=f"{news.rate:.1f}/s" if news.rate else "",
                    left=f"{left} left" if left else "",
                )
            bar.below = _below(progress, news)

        yield show


def counts_text(progress: Progress) -> str:
    """The counts above zero, in words."""
    return ", ".join(f"{progress.ended[status]} {status}" for status in Status if progress.ended[status])


class _Clock(ProgressColumn):
    """The time since the wait began."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(f"in {duration(task.finished_time or 0)}", style="progress.elapsed")
        return Text(f"{duration(task.elapsed or 0)} so far", style="progress.elapsed")


class _WaitBar(Bar):
    """A bar with some text below it."""

    below = Text()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the text."""
        yield from super().get_renderables()
        if self.below.plain:
            yield self.below


def _columns() -> tuple[ProgressColumn, ...]:
    """In this order, and whole, but for the bar itself, which takes what room is left."""
    return (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        _Clock(table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(min_width=4, max_width=40)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
    )


def _below(progress: Progress | None, news: News) -> Text:
    """What hinders, and what is waited for; or the counts."""
    lines = [Text(f"  {one.sentence} ({duration(seconds_since(one.since))})", "yellow") for one in news.hindrances]
    if news.doing:
        passed = f", {duration(seconds_since(news.since))} so far" if news.since else ""
        usual = f" ({'longer than usual, which is' if news.is_late else 'usually'} {news.usual})" if news.usual else ""
        lines.append(Text(f"  {news.doing}{passed}{usual}"))
        lines += [Text(f"  its log: {news.log}", "dim")] if news.log else []
    elif progress is not None and not lines:
        lines.append(Text(f"  {counts_text(progress)}"))
    return Text("\n").join(lines)


def _cut(name: str, most: int) -> str:
    """The name, or its beginning and its end."""
    half = (max(most, 9) - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


class _Lines:
    """A line for each tenth of the run, and for each thing that begins or is over."""

    def __init__(self, name: str, console: Console) -> None:
        self._name = name
        self._console = console
        self._share = -1.0
        self._sentence = ""
        self._log: str | None = None
        #: When that began which was said to take longer than usual.
        self._late: datetime | None = None
        self._hindrances: tuple[Hindrance, ...] = ()

    def show(self, progress: Progress | None, news: News) -> None:
        """Print what is new."""
        if news.sentence and news.sentence != self._sentence:
            log = f"; its log: {news.log}" if news.log and news.log != self._log else ""
            self._log = news.log or self._log
            self._print(f"{news.sentence}{log}")
        if news.is_late and news.since is not None and news.since != self._late:
            self._late = news.since
            passed = duration(seconds_since(news.since))
            self._print(f"{news.doing}, {passed} so far, longer than usual, which is {news.usual}")
        self._sentence = news.sentence
        self._show_hindrances(news.hindrances)
        if progress is not None:
            done = progress.submitted - progress.pending
            share = done / max(progress.submitted, 1)
            if share - self._share >= _TENTH:
                self._share = share
                self._print(f"{done} of {progress.submitted} done")

    def _show_hindrances(self, hindrances: tuple[Hindrance, ...]) -> None:
        before, after = ({one.sentence for one in some} for some in (self._hindrances, hindrances))
        for one in hindrances:
            if one.sentence not in before:
                self._print(one.sentence)
        for one in self._hindrances:
            if one.sentence not in after:
                self._print(f"over after {duration(seconds_since(one.since))}: {one.sentence}")
        self._hindrances = hindrances

    def _print(self, text: str) -> None:
        self._console.print(f"{self._name}: {text}", highlight=False, markup=False, soft_wrap=True)
