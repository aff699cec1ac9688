"""EngineFlags: the options of commands that load a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from producer.cli.numbers import whole
from producer.cli.options import of_model
from producer.cli.typed import json_object

if TYPE_CHECKING:
    from pydantic import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFlags:
    """The settings of an engine that `run` and `worker` share, by their names in `Settings`."""

    engine_args: Annotated[
        str | None,
        of_model(
            "--engine-args", metavar="JSON", help="""Arguments of vLLM's engine, as in '{"max_model_len":4096}'."""
        ),
    ] = None
    model_pixels: Annotated[
        int | None,
        of_model(
            "--max-pixels",
            metavar="N",
            parser=whole("--max-pixels", 1),
            help="Most pixels that the model sees of one image; a larger one is scaled down (also PERSQA_MODEL_PIXELS; "
            "default: 1048576, which is 1024 x 1024).",
        ),
    ] = None

    def arguments(self) -> dict[str, JsonValue] | None:
        """The engine arguments; raises SettingsError if they are no JSON object."""
        return json_object(self.engine_args, "--engine-args")
