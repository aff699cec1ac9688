"""Options that several commands share."""

from __future__ import annotations

import json
from typing import Annotated, cast

import typer
from pydantic import JsonValue

from persqa.errors import SettingsError

Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="Records: .json, .jsonl, .csv, .tsv (also .gz or .zst), .parquet, WebDataset .tar, or a pattern of them; "
        "a Hugging Face data set (a folder, or hf://org/name); images (a folder or a pattern); - for standard input.",
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="What INPUT is, where its suffix does not say it: json, jsonl (default for -), csv, tsv, parquet, tar, "
        "images or hf.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="The split of a Hugging Face data set, where it has several."),
]
ImageColumn = Annotated[
    str | None,
    typer.Option("--image-column", metavar="NAME", help="The field that holds the images (default: image)."),
]
IdColumn = Annotated[
    str | None,
    typer.Option("--id-column", metavar="NAME", help="The field that names a record in messages and results."),
]
BrokerUrl = Annotated[
    str | None,
    typer.Option("--broker-url", metavar="URL", help="Redis or Valkey, for instance redis://localhost:6379/0."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", metavar="URL", help="sqlite:///file.db (default: persqa.db) or postgresql://..."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.")]
RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="The run's name (default: the input's, without suffix)."),
]
TagOption = Annotated[
    str | None,
    typer.Option("--tag", help="The main character's name in question and answer (default: <mam>)."),
]
TagPolicy = Annotated[
    str | None,
    typer.Option(
        "--tag-policy",
        metavar="check|repair|prefill",
        help="What to do about an answer that does not begin with the tag: store it (check), ask again and at last "
        "write the tag for the model (repair, the default), or write it from the start (prefill).",
    ),
]
Pool = Annotated[
    str | None,
    typer.Option(
        "--pool", help="Question pool: human (default), object, or a file: a question a line, {tag} for the tag."
    ),
]
QuestionsPerImage = Annotated[
    int | None,
    typer.Option("--questions-per-image", metavar="K", help="Different questions per record (default: 1)."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Decides the questions drawn and the sampling (default: 0).")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Hugging Face name or folder; only workers that serve it answer this run."),
]
SamplingOption = Annotated[
    str | None,
    typer.Option("--sampling", metavar="JSON", help='Sampling, for instance {"temperature": 0.2}.'),
]
EngineArgs = Annotated[
    str | None,
    typer.Option("--engine-args", metavar="JSON", help='vLLM arguments, for instance {"max_model_len": 4096}.'),
]
ImageRoots = Annotated[
    str | None,
    typer.Option(
        "--image-roots",
        metavar="DIR[:DIR]",
        help="Folders images may be read from (default: the input's folder).",
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option("--log-format", metavar="text|json", help="How it writes its log (default: text)."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse the whole input if one record is wrong.")]
Recheck = Annotated[bool, typer.Option("--recheck", help="Try images again whose content no earlier run could decode.")]
Priority = Annotated[
    str | None,
    typer.Option(
        "--priority",
        metavar="high|normal|low",
        help="Whether its items go before those of other runs; given again, it is changed (default: normal).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def json_object(text: str | None, option: str) -> dict[str, JsonValue] | None:
    """Read an option that takes a JSON object.

    Raises:
        SettingsError: it is none.
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
