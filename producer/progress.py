"""Waiting for a run, with a progress bar that always moves."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from persqa.clock import now
from persqa.controls import refuse_vain
from persqa.errors import StoreUnavailable
from persqa.phases import Hindrance
from persqa.words import counted
from producer.wait_bar import News, ShowNews, counts_text, wait_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from persqa.progress import Progress

__all__ = ["WaitDisplay", "counts_text", "wait_for"]

logger = logging.getLogger(__name__)

_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 1.0

#: Shows the progress to a person.
WaitDisplay: TypeAlias = "Callable[[Progress], None]"


def wait_for(  # noqa: PLR0913 - what is waited for, and what is done meanwhile
    progress: Callable[[], Progress],
    *,
    name: str,
    check: Callable[[], None],
    timeout_seconds: float | None,
    display: WaitDisplay | None,
    news: Callable[[Progress | None], News] = lambda _progress: News(),
    until: Callable[[Progress], bool] = lambda progress: progress.pending == 0,
) -> Progress:
    """Poll until nothing is pending; also wait while the database is away.

    Args:
        progress: reads the progress of the run.
        name: of the run.
        check: called between polls; raises when the wait would be in vain.
        timeout_seconds: longest wait.
        display: shows the progress, and what hinders the run is logged then; by default a bar on standard error.
        news: what goes on besides, given the progress if it can be read.
        until: whether this progress is what is waited for.

    Raises:
        TimeoutError: it took longer; the message says what was waited for.
        RunStopped: the run was cancelled, or has paused itself by a stop rule.
    """
    with wait_bar(name) if display is None else nullcontext(_logging(display)) as show:
        started = time.monotonic()
        pause = _FIRST_POLL_SECONDS
        pending = "an unknown number of items"
        away: Hindrance | None = None
        while True:
            found, away = _read(progress, away)
            if found is not None and until(found):
                show(found, News())
                return found
            said = _with(away, news(found))
            show(found, said)
            if found is not None:
                pending = counted(found.pending, "item")
                refuse_vain(found, name)
            if timeout_seconds is not None and time.monotonic() - started > timeout_seconds:
                late = f"the run {name!r} has {pending} pending after {timeout_seconds:g} s"
                raise TimeoutError(": ".join(filter(None, [late, said.reason])))
            check()
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)


def _read(progress: Callable[[], Progress], away: Hindrance | None) -> tuple[Progress, None] | tuple[None, Hindrance]:
    """The progress; or what hinders reading it, and since when, if `away` says so of the last time."""
    try:
        return progress(), None
    except StoreUnavailable as error:
        since = now() if away is None else away.since
        return None, Hindrance(sentence=f"{error}; nothing is lost, trying again", since=since)


def _with(away: Hindrance | None, news: News) -> News:
    """The news, and that the database is away, which a worker may have noticed, too."""
    if away is None:
        return news
    others = (one for one in news.hindrances if one.sentence != away.sentence)
    return replace(news, hindrances=(away, *others))


def _logging(display: WaitDisplay) -> ShowNews:
    """For a display of somebody else's: hindrances are logged, each when it begins."""
    before: set[str] = set()

    def show(progress: Progress | None, news: News) -> None:
        sentences = {one.sentence for one in news.hindrances}
        for sentence in sorted(sentences - before):
            logger.warning("%s", sentence)
        before.clear()
        before.update(sentences)
        if progress is not None:
            display(progress)

    return show
