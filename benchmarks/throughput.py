"""How near a worker comes to what its engine gives by itself, and what more questions about one image cost."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

from benchmarks.measuring import Pair, in_turn, steady_rate
from benchmarks.peers import Peer
from benchmarks.site import Site
from persqa.models import DEMO_MODEL
from persqa.prompts import human_turn
from persqa.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from producer import RunHandle

_ENGINE_ARGS: dict[str, JsonValue] = {"max_model_len": 1024, "max_num_seqs": 64}
_SAMPLING: dict[str, object] = {"temperature": 0.0, "max_tokens": 64}


#: The share of answers that has to be the peer's, word for word: the order of sums differs with the batch.
_LEAST_AGREEMENT = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What answers.

    Attributes:
        name: as `--model` takes it.
        engine_args: over `_ENGINE_ARGS`.
    """

    name: str = DEMO_MODEL
    engine_args: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])

    def site(self) -> Site:
        """A site whose workers serve it."""
        return Site(model=self.name, engine_args={**_ENGINE_ARGS, **self.engine_args})


def against(peer_name: str, *, model: Model, items: int, pairs: int, **arguments: object) -> list[Pair]:
    """Items a second to committed rows, and of one of the peers over the same items.

    Args:
        peer_name: its module in `benchmarks.peers`.
        model: what both serve.
        items: how many, each with an image of its own.
        pairs: how often both are measured.
        arguments: for the peer.
    """
    with model.site() as site, ThreadPoolExecutor(1) as threads:
        # Both load at once, which saves half a minute.
        ready = threads.submit(site.worker)
        with Peer(peer_name, site.settings, site.folder / "peer.log", **arguments) as peer:
            ready.result()
            # Those the peer has not been asked about: what it has seen once it has in its caches.
            new: deque[RunHandle] = deque()

            def ours() -> float:
                rate, run = _measure(site, items)
                new.append(run)
                return rate

            def theirs() -> float:
                run = new.popleft()
                answer = peer.ask({"items": _asked(run, site.folder)})
                answers = cast("list[str]", answer["answers"])
                same = sum(row.answer == text for row, text in zip(run.results(), answers, strict=True))
                assert same >= _LEAST_AGREEMENT * items, f"{same} of {items} answers are those of {peer_name}"
                return items / cast("float", answer["seconds"])

            # For nothing: both sides compile. One run more than the peer needs, as it is at times the first of a pair.
            ours()
            ours()
            theirs()
            return in_turn(ours, theirs, pairs=pairs)


def questions_per_image(*, model: Model, items: int, questions: int, pairs: int) -> list[Pair]:
    """Items a second with several questions about each image, and with one; as many items, so fewer images."""
    with model.site() as site:
        site.worker()

        def rate(number: int) -> float:
            return _measure(site, items // number, questions_per_image=number)[0]

        rate(1)
        return in_turn(lambda: rate(questions), lambda: rate(1), pairs=pairs)


def _measure(site: Site, images: int, **options: object) -> tuple[float, RunHandle]:
    run = site.submit(site.new_portraits(images), tag_policy="check", sampling=_SAMPLING, **options)
    rate = steady_rate(lambda: sum(run.progress().ended.values()), run.run.items, timeout_seconds=900)
    site.check(run)
    return rate, run


def _asked(run: RunHandle, folder: Path) -> list[dict[str, object]]:
    return [
        {
            "images": [str(folder / str(row.record["image"]))],
            "system": run.run.options.system_prompt,
            "user": human_turn(Tag(row.tag), row.question),
            "sampling": _SAMPLING,
        }
        for row in run.results()
    ]
