"""What a person sees who waits: on a terminal, and in a log."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from rich.console import Console

from persqa.clock import duration, now
from persqa.phases import Hindrance
from persqa.progress import Progress
from persqa.results import Status
from producer.wait_bar import News, wait_bar

_FULL = "the database sqlite:///persqa.db failed: database or disk is full; nothing is lost, trying again"
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def _progress(ok: int, submitted: int) -> Progress:
    return Progress(submitted=submitted, ended={status: ok if status is Status.OK else 0 for status in Status})


def _seen(progress: Progress | None, news: News, *, width: int, name: str = "portraits") -> list[str]:
    """The last frame on a terminal of this width."""
    screen = io.StringIO()
    with wait_bar(name, Console(file=screen, width=width, force_terminal=True, color_system=None)) as show:
        show(progress, news)
    frame = screen.getvalue().rpartition("\x1b[2K")[2]
    return [line.rstrip() for line in _CODES.sub("", frame).splitlines() if line.strip()]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "name", ["portraits", "the-name-of-a-run-may-be-a-hundred-characters-long-and-this-one-is-long"]
)
def test_the_clock_stands_before_the_bar_and_stays_and_times_say_what_they_are(width: int, name: str) -> None:
    bar, below = _seen(_progress(400_123, 1_200_000), News(rate=1142.13), width=width, name=name)
    assert len(bar) <= width
    assert re.fullmatch(r". \S+ 0:00 so far ━\S* +400123/1200000 1142.1/s 11:40 left", bar), bar
    assert below == "  400123 ok"


def test_without_a_rate_nothing_is_said_of_the_rest() -> None:
    bar, _ = _seen(_progress(400, 4800), News(), width=80)
    assert "left" not in bar
    assert "/s" not in bar


@pytest.mark.parametrize("width", [80, 120])
def test_one_sees_what_is_waited_for_how_long_that_takes_and_where_more_stands(width: int) -> None:
    since = now() - timedelta(seconds=12)
    news = News(doing="loading the model: weights", since=since, usual="1 to 5 s", log="persqa-worker.log")
    _, doing, log = _seen(_progress(400, 4800), news, width=width)
    assert re.fullmatch(r"  loading the model: weights, 0:1\d so far \(usually 1 to 5 s\)", doing)
    assert log == "  its log: persqa-worker.log"


def test_what_hinders_stands_below_the_bar_even_while_nothing_can_be_read() -> None:
    news = News(hindrances=(Hindrance(sentence=_FULL, since=now() - timedelta(seconds=42)),))
    for progress in (_progress(400, 4800), None):
        seen = _seen(progress, news, width=80)
        assert re.search(rf"{re.escape(_FULL)} \(0:4\d\)", " ".join(" ".join(seen[1:]).split())), seen


def test_a_bar_that_is_full_says_how_long_it_took() -> None:
    bar, _ = _seen(_progress(12, 12), News(), width=80)
    assert "so far" not in bar
    assert "in 0:00" in bar


def test_without_a_terminal_each_thing_is_a_line_when_it_begins_and_when_it_is_over() -> None:
    out = io.StringIO()
    loading = News(doing="loading the model: weights", since=now(), usual="1 to 5 s", log="persqa-worker.log")
    full = News(hindrances=(Hindrance(sentence=f"{_FULL} [sqlite]", since=now()),))
    with wait_bar("r", Console(file=out, width=40)) as show:
        for news in (loading, loading, News(doing="waiting for the first answer")):
            show(_progress(0, 10), news)
        for ok, news in ((1, full), (1, full), (1, News()), (2, News()), (10, News())):
            show(_progress(ok, 10), news)
    assert out.getvalue().splitlines() == [
        "r: loading the model: weights (usually 1 to 5 s); its log: persqa-worker.log",
        "r: 0 of 10 done",
        "r: waiting for the first answer",
        f"r: {_FULL} [sqlite]",
        "r: 1 of 10 done",
        f"r: over after 0:00: {_FULL} [sqlite]",
        "r: 2 of 10 done",
        "r: 10 of 10 done",
    ]


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (0, 27.4, 70, 725, 3722, 90_000)] == [
        *("0:00", "0:27", "1:10", "12:05", "1:02:02", "25:00:00"),
    ]
