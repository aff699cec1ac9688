"""A program that adds records to an open run, in batches of random sizes, and begins anew when it is started again."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import Infrastructure
from producer import Client
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 60


def main(name: str, folder: str, first: int, last: int) -> None:
    """Add the records of pictures that `write_images` has drawn, from the first one up to the last, without it."""
    with Client() as client:
        run = client.open_run(name, key="id")
        begin = first
        while begin < last:
            end = min(last, begin + random.randint(1, _MOST))
            given = [{"image": f"{folder}/{number}.png", "id": number} for number in range(begin, end)]

            def add(some: Sequence[Mapping[str, object]] = given) -> bool:
                try:
                    run.add_many(some)
                except Infrastructure:
                    return False
                return True

            wait_until(add, seconds=120, describe="Redis is there again")
            begin = end


if __name__ == "__main__":
    _, run_name, pictures, from_, to = sys.argv
    main(run_name, str(Path(pictures)), int(from_), int(to))
