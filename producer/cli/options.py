"""Options that several commands share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer
from pydantic import JsonValue

from persqa.errors import SettingsError
from persqa.settings import load_settings

if TYPE_CHECKING:
    from typing import Unpack

    from persqa.settings import Settings
    from producer import Client
    from producer.options import GivenSettings, GivenSubmitOptions

#: An option of each panel of the help.
_input = partial(typer.Option, rich_help_panel="Input")
_asked = partial(typer.Option, rich_help_panel="Questions and answers")
_enqueued = partial(typer.Option, rich_help_panel="Submitting")

_RECHECK = "Try images again whose content no earlier run could decode."
_MODEL = "Hugging Face name or folder; only workers that serve it answer this run."

Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="Records: .json, .jsonl, .csv, .tsv (also .gz or .zst), .parquet, WebDataset .tar, or a pattern of them; "
        "a Hugging Face data set (a folder, or hf://org/name); images (a folder or a pattern); - for standard input.",
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.")]
Model = Annotated[str | None, typer.Option("--model", help=_MODEL)]
EngineArgs = Annotated[
    str | None,
    typer.Option("--engine-args", metavar="JSON", help='vLLM arguments, for instance {"max_model_len": 4096}.'),
]
ImageRoots = Annotated[
    str | None,
    typer.Option(
        "--image-roots",
        metavar="DIR[:DIR]",
        help="Folders images may be read from (default of run: the input's folder; a worker needs them).",
    ),
]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="text|json", help="How it writes its log (default: text).")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", metavar="URL", help="sqlite:///file.db (default: persqa.db) or postgresql://..."),
]
Recheck = Annotated[bool, typer.Option("--recheck", help=_RECHECK)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The broker and the database; what is not named is read from the environment."""

    broker_url: Annotated[
        str | None,
        typer.Option("--broker-url", metavar="URL", help="Redis or Valkey, for instance redis://localhost:6379/0."),
    ] = None
    database_url: DatabaseUrl = None

    def settings(self, **more: Unpack[GivenSettings]) -> Settings:
        """All settings, with these and more.

        Raises:
            SettingsError: a setting is wrong.
        """
        return load_settings(**{**more, **asdict(self)})

    def client(self) -> Client:
        """A client with these settings.

        Raises:
            SettingsError: a setting is wrong.
            StoreUnavailable: the database does not answer.
        """
        # Imported here, as help needs no database.
        from producer import Client

        return Client(self.settings())


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitFlags:
    """The options that `run` and `submit` share, by their names in `GivenSubmitOptions`."""

    input_format: Annotated[
        str | None,
        _input(
            "--format",
            metavar="NAME",
            help="What INPUT is, where its suffix does not say it: json, jsonl (default for -), csv, tsv, parquet, "
            "tar, images or hf.",
        ),
    ] = None
    split: Annotated[
        str | None,
        _input("--split", metavar="NAME", help="The split of a Hugging Face data set, where it has several."),
    ] = None
    image_column: Annotated[
        str | None, _input("--image-column", metavar="NAME", help="The field that holds the images (default: image).")
    ] = None
    id_column: Annotated[
        str | None, _input("--id-column", metavar="NAME", help="The field that names a record in messages and results.")
    ] = None
    limit: Annotated[int | None, _input("--limit", metavar="N", help="Only the first N records of INPUT.")] = None
    sample: Annotated[
        int | None,
        _input(
            "--sample", metavar="N", help="Only N records of INPUT, drawn at random by --seed, in the input's order."
        ),
    ] = None
    tag: Annotated[
        str | None, _asked("--tag", help="The main character's name in question and answer (default: <mam>).")
    ] = None
    tag_policy: Annotated[
        str | None,
        _asked(
            "--tag-policy",
            metavar="check|repair|prefill",
            help="What to do about an answer that does not begin with the tag: store it (check), ask again and at last "
            "write the tag for the model (repair, the default), or write it from the start (prefill).",
        ),
    ] = None
    pool: Annotated[
        str | None,
        _asked(
            "--pool", help="Question pool: human (default), object, or a file: a question a line, {tag} for the tag."
        ),
    ] = None
    questions_per_image: Annotated[
        int | None, _asked("--questions-per-image", metavar="K", help="Different questions per record (default: 1).")
    ] = None
    seed: Annotated[
        int | None,
        _asked("--seed", help="Decides the questions and the --sample drawn, and the answers' sampling (default: 0)."),
    ] = None
    model: Annotated[str | None, _asked("--model", help=_MODEL)] = None
    sampling: Annotated[
        str | None, _asked("--sampling", metavar="JSON", help='Sampling, for instance {"temperature": 0.2}.')
    ] = None
    run: Annotated[
        str | None, _enqueued("--run", metavar="NAME", help="The run's name (default: the input's, without suffix).")
    ] = None
    strict: Annotated[bool, _enqueued("--strict", help="Refuse the whole input if one record is wrong.")] = False
    recheck: Annotated[bool, _enqueued("--recheck", help=_RECHECK)] = False
    priority: Annotated[
        str | None,
        _enqueued(
            "--priority",
            metavar="high|normal|low",
            help="Whether its items go before those of other runs; given again, it is changed (default: normal).",
        ),
    ] = None

    def given(self) -> GivenSubmitOptions:
        """The options as the client takes them.

        Raises:
            SettingsError: `--sampling` is no JSON object.
        """
        sampling = json_object(self.sampling, "--sampling")
        return cast("GivenSubmitOptions", {**asdict(self), "sampling": sampling})


def json_object(text: str | None, option: str) -> dict[str, JsonValue] | None:
    """Read an option that takes a JSON object.

    Raises:
        SettingsError: the text is none.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{option}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{option}: expected a JSON object in braces, as in {{}}")
    return cast("dict[str, JsonValue]", value)
