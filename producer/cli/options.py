"""Options that several commands share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from persqa.settings import load_settings
from producer.cli.completing import one_of, run_names
from producer.cli.numbers import whole
from producer.cli.typed import json_object, text_or_file

if TYPE_CHECKING:
    from typing import Unpack

    from persqa.settings import Settings
    from producer import Client
    from producer.options import GivenSettings, GivenSubmitOptions

#: An option of each panel of the help; others stand in the panel "Options".
_input = partial(typer.Option, rich_help_panel="Input")
_questions = partial(typer.Option, rich_help_panel="Questions")
_tag = partial(typer.Option, rich_help_panel="Tag")
of_model = partial(typer.Option, rich_help_panel="Model")
_run = partial(typer.Option, rich_help_panel="Run")
of_where = partial(typer.Option, rich_help_panel="Where things are")
_output = partial(typer.Option, rich_help_panel="Output")

_RECHECK = "Try images again that no earlier run could decode."

Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="Records: .json, .jsonl, .csv, .tsv (each also .gz or .zst), .parquet, WebDataset .tar, or a pattern of "
        "them; a Hugging Face data set (a folder, or hf://org/name); a folder or pattern of images; - for standard "
        "input.",
        rich_help_panel="Input",
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.", autocompletion=run_names)]
OneRun = Annotated[
    str | None, typer.Argument(metavar="RUN", help="One run; without it, all.", autocompletion=run_names)
]
Items = Annotated[
    list[int] | None,
    typer.Option(
        "--item",
        metavar="ID",
        parser=whole("--item", 1),
        help="Only this item, as `results` names it; may be repeated.",
    ),
]
ServedModel = Annotated[
    str | None,
    of_model("--model", metavar="NAME", help="Hugging Face name or folder (default: one that fits this machine)."),
]
ImageRoots = Annotated[
    str | None,
    of_where(
        "--image-roots",
        metavar="DIR[:DIR]",
        help="Folders below which images may be read (default: the folder of INPUT, or --image-base).",
    ),
]
LogFormat = Annotated[
    str | None,
    _output(
        "--log-format",
        metavar="text|json",
        autocompletion=one_of("text", "json"),
        help="How the log is written (default: text).",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    of_where(
        "--database-url",
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME (also PERSQA_DATABASE_URL; default: persqa.db in this "
        "folder).",
    ),
]
Recheck = Annotated[bool, typer.Option("--recheck", help=_RECHECK)]
Wait = Annotated[bool, _output("--wait", help="Stay until every item has a result.")]
Ui = Annotated[bool, _output("--ui", help="Serve the gallery meanwhile, and after the run until Ctrl-C.")]
AsJson = Annotated[bool, _output("--json", help="Print JSON, for scripts.")]


def _input_formats(incomplete: str) -> list[str]:
    # The readers are not needed before.
    from producer.readers.opening import FORMATS

    return one_of(*FORMATS)(incomplete)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The broker and the database; what is not named is read from the environment."""

    broker_url: Annotated[
        str | None,
        of_where(
            "--broker-url",
            metavar="URL",
            help="Redis or Valkey, as in redis://localhost:6379/0 (also PERSQA_BROKER_URL).",
        ),
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
            autocompletion=_input_formats,
            help="What INPUT is, if its name does not say so: json, jsonl (default for -), csv, tsv, parquet, tar, "
            "images or hf.",
        ),
    ] = None
    split: Annotated[
        str | None, _input("--split", metavar="NAME", help="Which split of a Hugging Face data set, if it has several.")
    ] = None
    image_column: Annotated[
        str | None, _input("--image-column", metavar="NAME", help="The field with the images (default: image).")
    ] = None
    id_column: Annotated[
        str | None,
        _input("--id-column", metavar="NAME", help="The field that names a record in messages and results."),
    ] = None
    image_base: Annotated[
        str | None,
        _input("--image-base", metavar="DIR", help="Where relative image paths start (default: the folder of INPUT)."),
    ] = None
    limit: Annotated[
        int | None, _input("--limit", metavar="N", parser=whole("--limit", 1), help="Only the first N records.")
    ] = None
    sample: Annotated[
        int | None,
        _input(
            "--sample",
            metavar="N",
            parser=whole("--sample", 1),
            help="Only N records, drawn at random by --seed, in the input's order.",
        ),
    ] = None
    strict: Annotated[bool, _input("--strict", help="Refuse the whole input if one record is wrong.")] = False
    recheck: Annotated[bool, _input("--recheck", help=_RECHECK)] = False
    pool: Annotated[
        str | None,
        _questions(
            "--pool",
            metavar="NAME|FILE",
            autocompletion=one_of("human", "object"),
            help="The questions to draw from: human (default), object, or a file with one question a line and {tag} "
            "for the tag.",
        ),
    ] = None
    questions_per_image: Annotated[
        int | None,
        _questions(
            "--questions-per-image",
            metavar="K",
            parser=whole("--questions-per-image", 1, 100),
            help="How many different questions each record is asked (default: 1).",
        ),
    ] = None
    seed: Annotated[
        int | None,
        _questions(
            "--seed",
            metavar="N",
            parser=whole("--seed"),
            help="Decides which questions and which --sample are drawn, and with --repeatable how answers are sampled "
            "(default: 0).",
        ),
    ] = None
    repeatable: Annotated[
        bool,
        _questions(
            "--repeatable",
            help="Sample each answer with a seed of its own, so that another such run gets the same ones; engines are "
            "slower then.",
        ),
    ] = False
    system_prompt: Annotated[
        str | None,
        _questions(
            "--system-prompt",
            metavar="TEXT|@FILE",
            help="What the model is told before each question: the text itself, or @ and the name of a file.",
        ),
    ] = None
    tag: Annotated[
        str | None,
        _tag("--tag", metavar="NAME", help="The main character's name in question and answer (default: <mam>)."),
    ] = None
    tag_column: Annotated[
        str | None,
        _tag(
            "--tag-column",
            metavar="NAME",
            help="The field with a record's own tag (default: tag); '' for none, where that field means another thing.",
        ),
    ] = None
    tag_policy: Annotated[
        str | None,
        _tag(
            "--tag-policy",
            metavar="check|repair|prefill",
            autocompletion=one_of("check", "repair", "prefill"),
            help="What to do with an answer that does not begin with the tag. check: store it. repair (default): ask "
            "again, and at last write the tag for the model. prefill: write it from the start.",
        ),
    ] = None
    model: Annotated[
        str | None,
        of_model(
            "--model", metavar="NAME", help="Hugging Face name or folder; only workers that serve it answer this run."
        ),
    ] = None
    sampling: Annotated[
        str | None,
        of_model("--sampling", metavar="JSON", help="""How answers are sampled, as in '{"temperature":0.2}'."""),
    ] = None
    run: Annotated[
        str | None, _run("--run", metavar="NAME", help="The run's name (default: that of INPUT, without suffix).")
    ] = None
    priority: Annotated[
        str | None,
        _run(
            "--priority",
            metavar="high|normal|low",
            autocompletion=one_of("high", "normal", "low"),
            help="Whether its items go before those of other runs (default: normal); given again, it is changed.",
        ),
    ] = None

    def given(self) -> GivenSubmitOptions:
        """The options as the client takes them.

        Raises:
            SettingsError: `--sampling` is no JSON object, or the file of `--system-prompt` cannot be read.
        """
        sampling = json_object(self.sampling, "--sampling")
        system_prompt = text_or_file(self.system_prompt, "--system-prompt")
        return cast("GivenSubmitOptions", {**asdict(self), "sampling": sampling, "system_prompt": system_prompt})
