"""`persqa worker`: one worker, or one for each GPU."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from persqa.errors import SettingsError
from persqa.models import require_engine
from persqa.own_code import own_code_only
from persqa.required import require_broker, require_roots
from persqa.settings import Settings
from producer.cli import options
from producer.cli.completing import one_of
from producer.cli.engine_flags import EngineFlags
from producer.cli.expanding import expanded
from producer.cli.numbers import whole

_Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="N",
        parser=whole("--window", 1, 65_536),
        help="Most items in flight at once (default: 256).",
    ),
]
_ImageRoots = Annotated[
    str | None,
    options.of_where(
        "--image-roots",
        metavar="DIR[:DIR]",
        help="Folders below which images may be read (also PERSQA_IMAGE_ROOTS). A worker needs them.",
    ),
]
_Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="all|N,N",
        autocompletion=one_of("all"),
        help="One worker for each of these GPUs, by the numbers or UUIDs of nvidia-smi -L.",
    ),
]


@expanded
def command(  # noqa: PLR0913 - one parameter an option
    *,
    model: options.ServedModel = None,
    engine: EngineFlags,
    window: _Window = None,
    image_roots: _ImageRoots = None,
    gpus: _Gpus = None,
    tensor_parallel_size: Annotated[
        int | None,
        options.of_model(
            "--tensor-parallel-size",
            metavar="N",
            parser=whole("--tensor-parallel-size", 1),
            help="How many GPUs share one model (default: 1).",
        ),
    ] = None,
    log_format: options.LogFormat = None,
    where: options.Where,
) -> None:
    """Answer what is in the queue, until stopped.

    It needs a broker (--broker-url) and folders of images (--image-roots), by these options or their variables.

    Without --gpus it is one worker, on the first GPU, or on the CPU where there is none. Ctrl-C or SIGTERM lets it
    finish what is in flight, and it ends with exit code 0; Ctrl-C again gives back what is in flight at once, and the
    code is 130. A worker of --gpus that dies is started again. `celery -A worker worker` starts the same single worker.

    Examples:
        persqa worker --broker-url redis://localhost:6379/0 --image-roots .
        persqa worker --gpus all --image-roots /data/images
    """
    settings = where.settings(
        model=model,
        window=window,
        image_roots=image_roots,
        log_format=log_format,
        engine_args=engine.arguments(),
        model_pixels=engine.model_pixels,
    )
    require_broker(settings)
    require_roots(settings)
    require_engine(settings.engine)
    if tensor_parallel_size is not None:
        settings = _sharing(settings, tensor_parallel_size)
    environment = settings.environment()
    program = ["-m", "worker"]
    if gpus is not None:
        program = ["-m", "worker.crew", "--gpus", gpus]
        if "image_threads" not in settings.model_fields_set:
            # The crew divides the CPUs among its workers.
            environment.pop("PERSQA_IMAGE_THREADS", None)
    # The worker replaces this process, so signals and exit code are its own.
    os.execve(sys.executable, [sys.executable, *program], own_code_only({**os.environ, **environment}))


def _sharing(settings: Settings, gpus: int) -> Settings:
    """The settings with a number of GPUs for one engine.

    Raises:
        SettingsError: the engine's arguments have another number.
    """
    given = settings.engine_args.get("tensor_parallel_size", gpus)
    if given != gpus:
        raise SettingsError(f"--tensor-parallel-size {gpus}: the engine's arguments say {given}; leave one of them out")
    return settings.model_copy(update={"engine_args": {**settings.engine_args, "tensor_parallel_size": gpus}})
