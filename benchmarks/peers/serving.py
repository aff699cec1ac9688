"""The other end of `Peer`, in the peer's own process."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable


def given() -> dict[str, Any]:
    """What the peer was started with."""
    return cast("dict[str, Any]", json.loads(sys.argv[-1]))


def serve(answer: Callable[[list[dict[str, Any]]], list[str]]) -> None:
    """Say that everything is loaded, then answer the items of one line after the other, and say how long it took."""
    _say({})
    for line in sys.stdin:
        items = cast("list[dict[str, Any]]", json.loads(line)["items"])
        started = time.monotonic()
        answers = answer(items)
        _say({"seconds": time.monotonic() - started, "answers": answers})


def _say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()
