"""Waiting for a run, with a progress bar that always moves."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from persqa.errors import RunStopped, StoreUnavailable
from persqa.results import Status
from persqa.runs import RunState
from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from persqa.progress import Progress

logger = logging.getLogger(__name__)

_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 1.0

#: Shows the progress to a person.
WaitDisplay: TypeAlias = "Callable[[Progress], None]"


def wait_for(
    progress: Callable[[], Progress],
    *,
    name: str,
    check: Callable[[], None],
    timeout_seconds: float | None,
    display: WaitDisplay | None,
) -> Progress:
    """Poll until nothing is pending; also wait while the database is away.

    Args:
        progress: reads the progress of the run.
        name: of the run.
        check: called between polls; raises when the wait would be in vain.
        timeout_seconds: longest wait.
        display: shows the progress; by default a bar on standard error.

    Raises:
        TimeoutError: it took longer.
        RunStopped: the run was cancelled.
    """
    with progress_bar(name) if display is None else nullcontext(display) as show:
        started = time.monotonic()
        pause = _FIRST_POLL_SECONDS
        pending = "an unknown number of items"
        while True:
            if (now := _read(progress)) is not None:
                show(now)
                if now.pending == 0:
                    return now
                if now.state is RunState.CANCELLED:
                    to_go = f"{now.pending} of {counted(now.submitted, 'item')} to go"
                    message = f"the run {name!r} was cancelled with {to_go}"
                    raise RunStopped(f"{message}; to take it up again: persqa resume {name}")
                pending = counted(now.pending, "item")
            if timeout_seconds is not None and time.monotonic() - started > timeout_seconds:
                raise TimeoutError(f"the run {name!r} has {pending} pending after {timeout_seconds:g} s")
            check()
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)


def _read(progress: Callable[[], Progress]) -> Progress | None:
    try:
        return progress()
    except StoreUnavailable as error:
        logger.warning("%s; nothing is lost, still waiting", error)
        return None


@contextmanager
def progress_bar(name: str) -> Generator[WaitDisplay]:
    """A bar on standard error; without a terminal, a line at every tenth of the run."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=20) as bar:
        task = bar.add_task(name, total=None, rate="", counts="waiting for a worker")
        printed = -1.0
        state = RunState.ACTIVE

        def show(progress: Progress) -> None:
            nonlocal printed, state
            done = sum(progress.ended.values())
            speed = bar.tasks[0].speed
            bar.update(
                task,
                total=progress.submitted,
                completed=done,
                rate=f"{speed:.1f}/s" if speed else "",
                counts=_doing(progress, name),
            )
            share = done / max(progress.submitted, 1)
            if not console.is_terminal and progress.state is not state:
                state = progress.state
                console.print(f"{name}: {_doing(progress, name)}", highlight=False)
            if not console.is_terminal and share - printed >= 0.1:
                printed = share
                console.print(f"{name}: {done} of {progress.submitted} done", highlight=False)

        yield show


def counts_text(progress: Progress) -> str:
    """The counts above zero, in words."""
    return ", ".join(f"{progress.ended[status]} {status}" for status in Status if progress.ended[status])


def _doing(progress: Progress, name: str) -> str:
    if progress.state is not RunState.ACTIVE:
        return f"{progress.state}; to go on: persqa resume {name}"
    return counts_text(progress) or "waiting for the first answer, the model may be loading"
