"""What a worker's front end takes of an item, with an engine that costs nothing, in the shape of the default GPU model.

`python -m benchmarks.front_end --size 1024 --items 800` measures one shape and prints a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from benchmarks.instant_answers import sampling_for
from benchmarks.photos import photos
from benchmarks.site import Site
from tests.support.qwen_model import qwen_model
from tests.support.wait import spend

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

#: A run is steady from half a window on until no new items come in: before and after that, photos are loaded faster or
#: slower than items end. Short runs are looked at in these parts of them, and are less sure.
_FROM, _TO = 0.2, 0.6
_POLL_SECONDS = 0.1
#: Between two looks at which thread holds the interpreter's lock.
_LOOK_SECONDS = 0.002
_ENGINE = "EngineCore"
#: What vLLM chooses by itself for an offline call on an H100, and a context with room for the largest photo.
_GPU: dict[str, JsonValue] = {
    "distributed_executor_backend": "benchmarks.instant_executor.InstantExecutor",
    "load_format": "dummy",
    "max_model_len": 32_768,
    "max_num_batched_tokens": 16_384,
    "max_num_seqs": 1024,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is asked.

    Attributes:
        width: of each photo, in pixels.
        height: of each photo.
        questions: about each photo.
        answer_tokens: of each answer.
        items: photos times questions.
    """

    width: int
    height: int
    questions: int = 1
    answer_tokens: int = 16
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What an item took, in milliseconds of processor time unless said otherwise.

    Attributes:
        rate: items a second, by the clock.
        front_end: in all processes but the engine's.
        engine: in the engine's process: its scheduler and messages.
        worker: in the worker's own process.
        busiest_thread: in that thread of the worker's which has most to do.
        lock: by the clock, while some thread holds the lock of the worker's interpreter, be it that the system lets it
            run or not; None where it cannot be seen.
        threads: by kind of thread in the worker.
        processes: in each child of the worker.
        memory: of the worker and its children together, in MB.
    """

    rate: float
    front_end: float
    engine: float
    worker: float
    busiest_thread: float
    lock: float | None
    threads: dict[str, float]
    processes: dict[str, float]
    memory: float

    @classmethod
    def between(cls, before: _Seen, after: _Seen, held: float | None) -> Self:
        """What was spent between two looks; the lock was held for this share of the time."""
        items, seconds = after.items - before.items, after.told["time"] - before.told["time"]

        def each(what: str) -> dict[str, tuple[str, float]]:
            earlier = before.told[what]
            return {
                key: (name, 1000 * (spent - earlier.get(key, ("", 0))[1]) / items)
                for key, (name, spent) in after.told[what].items()
            }

        threads, children = each("threads"), each("children")
        engine = sum(spent for name, spent in children.values() if _ENGINE in name)
        worker = 1000 * (after.told["process"] - before.told["process"]) / items
        return cls(
            rate=items / seconds,
            front_end=worker + sum(spent for _, spent in children.values()) - engine,
            engine=engine,
            worker=worker,
            busiest_thread=max(spent for _, spent in threads.values()),
            lock=None if held is None else 1000 * held * seconds / items,
            threads=_by_kind(threads.values()),
            processes={f"{name[-40:]} {pid}": spent for pid, (name, spent) in children.items()},
            memory=after.told["memory"],
        )


def _by_kind(threads: Any) -> dict[str, float]:
    kinds: Counter[str] = Counter()
    for name, spent in threads:
        kind, _, number = name.rpartition("_")
        kinds[kind if number.isdigit() else name] += spent
    return {kind: spent for kind, spent in kinds.most_common() if spent > 0.02}


@dataclass(frozen=True, slots=True)
class _Seen:
    """How many items had ended, and what the worker told then."""

    items: int
    told: dict[str, Any]


class FrontEnd:
    """One worker, for as long as the `with` block."""

    def __init__(self, *, step_seconds: float = 0.02, max_pixels: int | None = None, **settings: Any) -> None:
        """Prepare.

        Args:
            step_seconds: how long the engine takes for one token of each request it has.
            max_pixels: what the image processor is told; None for what the worker tells it by itself.
            settings: others of the worker's; `engine_args` go over those of here.
        """
        arguments = {**_GPU, "additional_config": {"step_seconds": step_seconds}}
        if max_pixels is not None:
            arguments["mm_processor_kwargs"] = {"max_pixels": max_pixels}
        arguments |= settings.pop("engine_args", {})
        self._site = Site(model=str(qwen_model()), engine_args=arguments, **settings)

    def __enter__(self) -> Self:
        """Start it, and let it answer a few."""
        self._site.__enter__()
        try:
            self._socket = str(self._site.folder / "watch")
            self._site.worker("-m", "benchmarks.watched_worker", self._socket)
            self._answer(Shape(width=512, height=512, items=64))
        except BaseException:
            self._site.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._site.__exit__()

    def measure(self, shape: Shape) -> Spent:
        """What an item of this shape takes.

        Raises:
            AssertionError: an item does not get its answer, or all end at the same time.
        """
        before, after, held = self._answer(shape)
        assert after.items > before.items, f"more than {shape.items} items are needed"
        return Spent.between(before, after, held)

    def _answer(self, shape: Shape) -> tuple[_Seen, _Seen, float | None]:
        """Have items answered; two looks at the steady part, and the share of the time in which the lock was held."""
        # More than any cache of the worker holds, so that none has them at the next call.
        load = photos(self._site.folder, shape.items // shape.questions, width=shape.width, height=shape.height)
        run = self._site.submit(
            load,
            tag_policy="check",
            sampling=sampling_for(shape.answer_tokens),
            questions_per_image=shape.questions,
        )

        def ended() -> int:
            return sum(run.progress().ended.values())

        items = run.run.items
        window = self._site.settings.window
        before = self._look(ended, int(min(_FROM * items, window / 2)))
        with _LockWatch(before.told["pid"], before.told["holders"]) as lock:
            after = self._look(ended, int(max(_TO * items, items - window)))
        self._look(ended, items)
        self._site.check(run)
        tokens = self._site.scalar(f"SELECT SUM(output_tokens) FROM results WHERE run_id = {run.run.id}")
        assert tokens == items * shape.answer_tokens, f"{tokens} tokens; the last item: {[*run.results()][-1]}"
        return before, after, lock.share

    def _look(self, ended: Callable[[], int], items: int) -> _Seen:
        """Wait until so many items have ended."""
        while (count := ended()) < items:
            spend(_POLL_SECONDS)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._socket)
            return _Seen(count, json.load(connection.makefile()))


class _LockWatch:
    """Looks again and again, in the memory of a process, whether a thread holds the lock of its interpreter."""

    def __init__(self, pid: int, holders: list[int]) -> None:
        self._pid = pid
        self._holders = holders
        self._end = threading.Event()
        self._looks = 0
        #: At how many of them nobody held it, by where that was read.
        self._free: Counter[int] = Counter()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def share(self) -> float | None:
        """Of all looks, those at which it was held; None where that cannot be seen."""
        # Some of what is read is the last thread that held it, which is never nobody.
        return 1 - max(self._free.values()) / self._looks if self._free else None

    def _watch(self) -> None:
        with suppress(OSError), open(f"/proc/{self._pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            while self._holders and not self._end.wait(_LOOK_SECONDS):
                self._looks += 1
                self._free.update(at for at in self._holders if os.pread(memory.fileno(), 8, at) == bytes(8))


def main() -> None:
    """Measure one shape."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.front_end", description=__doc__)
    parser.add_argument("--size", default="1024", help="of the photos: 1024, or 2048x1536")
    parser.add_argument("--questions", type=int, default=1, help="about each photo")
    parser.add_argument("--answer-tokens", type=int, default=16)
    parser.add_argument("--items", type=int, default=800, help="at least three times the window, to be sure")
    parser.add_argument("--rounds", type=int, default=1, help="how often, with the same worker; a line for each")
    parser.add_argument("--max-pixels", type=int, help="for the image processor; by default what the worker tells it")
    parser.add_argument("--step-ms", type=float, default=20, help="what the engine takes for a token")
    parser.add_argument("--settings", type=json.loads, default={}, help="others of the worker's, as JSON")
    given = parser.parse_args()
    width, _, height = given.size.partition("x")
    shape = Shape(
        width=int(width),
        height=int(height or width),
        questions=given.questions,
        answer_tokens=given.answer_tokens,
        items=given.items,
    )
    with FrontEnd(step_seconds=given.step_ms / 1000, max_pixels=given.max_pixels, **given.settings) as front_end:
        for _ in range(given.rounds):
            spent = asdict(front_end.measure(shape))
            sys.stdout.write(json.dumps(asdict(shape) | _rounded(spent)) + "\n")
            sys.stdout.flush()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in cast("dict[str, Any]", value).items()}
    return round(value, 2) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
