"""`python -m worker.crew --gpus all`: one worker for each GPU, or for each group of GPUs that one engine takes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from persqa.errors import UserError
from persqa.logs import format_logs
from persqa.required import require_broker, require_roots
from persqa.settings import LogFormat, load_settings
from persqa.words import counted
from worker.crew.cpus import usable_cpus
from worker.crew.crew import Crew
from worker.crew.member import Member
from worker.crew.output import Output, OwnLines
from worker.crew.places import places
from worker.process import exit_codes
from worker.process.gpus import ALL, VISIBLE, Gpu, chosen_gpus, gpus_of_engine, grouped, installed_gpus, visible_gpus

if TYPE_CHECKING:
    from persqa.settings import Settings

logger = logging.getLogger(__name__)

#: The label of the crew's own lines.
_LABEL = "crew"
_COMMAND = (sys.executable, "-m", "worker", "--with-parent")


def main(arguments: list[str]) -> int:
    """Run all workers until the crew is told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.crew", description=__doc__)
    parser.add_argument("--gpus", default=ALL, help="all, or numbers or UUIDs, separated by commas")
    try:
        return _run(parser.parse_args(arguments).gpus, load_settings())
    except UserError as error:
        sys.stderr.write(f"persqa worker: {error}\n")
        return exit_codes.USER_ERROR


def _run(wish: str, settings: Settings) -> int:
    require_broker(settings)
    require_roots(settings)
    size = gpus_of_engine(settings.engine_args)
    groups = grouped(chosen_gpus(wish, visible_gpus(installed_gpus(), os.environ.get(VISIBLE))), size)
    cpus = usable_cpus()
    environment = {**os.environ, **_given(settings)}
    found = places(groups, cpus=cpus, environment=environment)
    output = Output([_LABEL, *(place.label for place in found)], as_json=settings.log_format is LogFormat.JSON)
    _log_to(output, settings.log_format)
    for place, group in zip(found, groups, strict=True):
        logger.info("%s: %s", place.label, _described(group))
    logger.info("%s %s", counted(len(found), "worker has", "workers share"), counted(cpus, "CPU"))
    members = [Member(place, _COMMAND, output) for place in found]
    return Crew(members, drain_seconds=settings.drain_seconds).run()


def _given(settings: Settings) -> dict[str, str]:
    """The settings that the environment or `.env` gives, as variables, without the defaults."""
    names = {f"PERSQA_{name.upper()}" for name in settings.model_fields_set}
    return {name: value for name, value in settings.environment().items() if name in names}


def _log_to(output: Output, log_format: LogFormat) -> None:
    handler = OwnLines(output, _LABEL)
    handler.setFormatter(logging.Formatter("[%(asctime)s: %(levelname)s] %(message)s"))
    format_logs([handler], log_format)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _described(group: tuple[Gpu, ...]) -> str:
    return ", ".join(f"{gpu.name} {gpu.uuid}" for gpu in group)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stderr.flush()
    # Without waiting for threads, because one that passes on output may hang on a paused terminal.
    os._exit(code)
