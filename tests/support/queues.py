"""What waits and what is held, and inputs that make it much."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.broker.connection import connect
from persqa.broker.keys import HELD, QUEUE, queue_for
from persqa.runs import Priority
from tests.support.builders import write_images

if TYPE_CHECKING:
    from persqa.settings import Settings


HIGH = queue_for(None, Priority.HIGH)
#: Images are few and records many: drawing takes longer than asking.
_IMAGES = 50


def many_records(folder: Path, count: int) -> Path:
    """Records of a few images, each many times."""
    write_images(folder, _IMAGES)
    data = folder / "many.jsonl"
    lines = (json.dumps({"image": f"images/{at % _IMAGES}.png", "id": at % _IMAGES}) + "\n" for at in range(count))
    data.write_text("".join(lines))
    return data


def waiting(settings: Settings, queue: str = QUEUE) -> int:
    with closing(connect(settings.broker_url or "")) as redis:
        return redis.llen(queue)


def held(settings: Settings) -> int:
    with closing(connect(settings.broker_url or "")) as redis:
        return redis.hlen(HELD)
