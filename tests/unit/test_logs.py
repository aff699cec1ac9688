"""Lines of logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from persqa.logs import ABOUT, About, format_logs
from persqa.settings import LogFormat
from tests.support.wait import give_way

if TYPE_CHECKING:
    from collections.abc import Callable


def logged(log_format: LogFormat, say: Callable[[logging.Logger], None]) -> str:
    """What a logger of its own writes, formatted as a worker's."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger = logging.Logger("a.part")  # noqa: LOG001 - one that nobody else knows
    logger.addHandler(handler)
    format_logs(logger.handlers, log_format, worker="host:1")
    say(logger)
    return written.getvalue()


def test_an_object_says_all_and_is_one_line_with_its_traceback() -> None:
    def say(logger: logging.Logger) -> None:
        try:
            raise KeyError("wrong\nin two lines")
        except KeyError:
            logger.exception("said %s", "so \ud800")

    text = logged(LogFormat.JSON, say)
    assert text.count("\n") == 1
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "a.part", "said so \ud800")
    assert line["worker"] == "host:1"
    assert line["traceback"].startswith("Traceback")
    assert line["time"].endswith("+00:00")
    assert "run" not in line


@pytest.mark.parametrize("log_format", LogFormat)
def test_lines_of_two_items_side_by_side_are_not_mixed_up(log_format: LogFormat) -> None:
    async def work(logger: logging.Logger, item: int) -> None:
        ABOUT.set(About(run=item // 10, item=item))
        await give_way()
        logger.warning("of %s", "nobody" if item < 20 else item)

    async def both(logger: logging.Logger) -> None:
        await asyncio.gather(work(logger, 11), work(logger, 22))
        logger.warning("of none")
        logger.warning("of one told", extra={"run": 3, "item": 33})

    lines = logged(log_format, lambda logger: asyncio.run(both(logger))).splitlines()
    match log_format:
        case LogFormat.TEXT:
            assert lines == [
                "[WARNING] of nobody [item 11]",
                "[WARNING] of 22",
                "[WARNING] of none",
                "[WARNING] of one told [item 33]",
            ]
        case LogFormat.JSON:
            found = [(line.get("run"), line.get("item")) for line in map(json.loads, lines)]
            assert found == [(1, 11), (2, 22), (None, None), (3, 33)]
