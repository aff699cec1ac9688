"""Engine: the protocol of what answers requests; implemented by vLLM, and by a scripted engine in tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from persqa.errors import SettingsError
from persqa.models import INSTALL_ENGINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persqa.generations import Generation
    from persqa.images import Resolution
    from persqa.settings import Settings
    from worker.pictures import Picture, Prepares


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question about some images, ready for the engine.

    Attributes:
        request_id: unique among the requests in flight.
        system: the system prompt; empty for none.
        user: the human turn's text, without image placeholders.
        prefill: the first words of the answer, which the model continues; empty for none.
        images: placed before the text in this order.
        sampling: vLLM sampling parameters by name, without the seed.
        seed: makes the sampling repeatable, which costs the engine time at every token; None where nobody asks for it.
    """

    request_id: str
    system: str
    user: str
    prefill: str
    images: Sequence[Picture]
    sampling: Mapping[str, object]
    seed: int | None


class Generates(Protocol):
    """Turns requests into generations; used from one event loop."""

    @property
    def model(self) -> str:
        """The name of the model it serves, stored with every result."""
        ...

    async def generate(self, request: Request) -> Generation:
        """Answer one request; many run at once, and cancelling one aborts only that one.

        Raises:
            Rejected: this request can never be served; the engine is well.
            EngineLost: the engine died, and another one is being started; ask again.
            EngineDead: the engine is gone, for this request and all others.
            Infrastructure: this machine is short of something.
        """
        ...


class Engine(Generates, Protocol):
    """One engine from its loading to its end; it never raises `EngineLost`."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; loading happens in `start`."""
        ...

    @property
    def resolution(self) -> Resolution | None:
        """How large the model sees an image, known after `start`; None where the full size may matter."""
        ...

    @property
    def prepare(self) -> Prepares | None:
        """What makes of an image what this engine takes in its place, known after `start`; None: it takes images."""
        ...

    @property
    def heard_at(self) -> float:
        """When it last produced a token, by `time.monotonic()`; 0 before the first one."""
        ...

    @property
    def waiting(self) -> int:
        """How many requests it has got and not begun, as far as it says."""
        ...

    async def start(self) -> None:
        """Load the model; returns when requests can be served.

        Raises:
            SettingsError: the model or the engine arguments cannot be used.
        """
        ...

    def kill(self) -> None:
        """End it at once; requests in flight then fail with `EngineDead`."""
        ...

    async def stop(self) -> None:
        """Free everything; safe to call twice or before `start`."""
        ...


def engine_maker(settings: Settings) -> Callable[[], Engine]:
    """A function that makes engines of the class in the settings.

    Raises:
        SettingsError: there is no such class, or it cannot be loaded.
    """
    module_name, _, class_name = settings.engine.partition(":")
    try:
        engine_class = cast("type[Engine]", getattr(import_module(module_name), class_name))
    except (ImportError, AttributeError, ValueError) as error:
        message = f"the engine {settings.engine!r} cannot be loaded ({error})"
        if module_name == "worker.engines.vllm_engine":
            message += f"; is vLLM installed? {INSTALL_ENGINE}"
        raise SettingsError(message) from error
    return partial(engine_class, settings)
