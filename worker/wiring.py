"""The one place that puts a worker's parts together, and takes them apart again in the right order."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, cast

from persqa.errors import SettingsError
from persqa.store import Store
from worker import metrics
from worker.answerer import Answerer
from worker.committer import Committer
from worker.dead_letters import dead_letters
from worker.engines.supervisor import Supervisor
from worker.intake import Intake
from worker.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from threading import Event

    from persqa.settings import Settings
    from worker.engines.engine import Engine


@dataclass(frozen=True, slots=True)
class Worker:
    """What the pool needs to know of a worker that is ready."""

    pipeline: Pipeline
    engine: Supervisor


@asynccontextmanager
async def ready_worker(settings: Settings, *, name: str, stop: Event) -> AsyncGenerator[Worker]:
    """Open the database, load the engine, and hand out the pipeline between them.

    Args:
        settings: everything.
        name: stored with every result.
        stop: set by the caller when it stops waiting for outages.

    Raises:
        SettingsError: the model, the engine arguments or the database cannot be used.
        StoreUnavailable: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        store = Store.open(settings.database_url)
        stack.callback(store.close)
        engine = Supervisor(engine_maker(settings), settings)
        stack.push_async_callback(engine.stop)
        _measure(engine)
        await engine.start()
        committer = Committer(store.results, settings, stop=stop)
        stack.callback(committer.close)
        intake = Intake(store, settings, resolution=engine.resolution, stop=stop)
        stack.callback(intake.close)
        answerer = Answerer(engine, worker=name)
        yield Worker(Pipeline(intake, answerer, committer, engine=engine, dead_letters=dead_letters()), engine)


def _measure(engine: Supervisor) -> None:
    metrics.name_model(engine.model)
    metrics.ENGINE_UP.set_function(lambda: float(engine.up))
    metrics.ASKED.set_function(lambda: engine.asked)
    metrics.WAITING.set_function(lambda: engine.waiting)


def engine_maker(settings: Settings) -> Callable[[], Engine]:
    """What makes engines of the class that the settings name.

    Raises:
        SettingsError: there is no such class, or it cannot be loaded.
    """
    module_name, _, class_name = settings.engine.partition(":")
    try:
        engine_class = cast("type[Engine]", getattr(import_module(module_name), class_name))
    except (ImportError, AttributeError, ValueError) as error:
        message = f"PERSQA_ENGINE: {settings.engine!r} cannot be loaded ({error})"
        if module_name == "worker.engines.vllm_engine":
            message += "; is vLLM installed? `make setup` installs the build that fits this machine"
        raise SettingsError(message) from error
    return partial(engine_class, settings)
