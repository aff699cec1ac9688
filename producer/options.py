"""The keywords of a client: settings, and the options of a submit.

The names are repeated here for editors and type checkers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from persqa.choices import parse_choice, refuse_empty
from persqa.errors import InputError
from persqa.runs import Priority, RunOptions, Sampling, parse_options, parse_priority
from persqa.words import option

if TYPE_CHECKING:
    from typing import Unpack

    from pydantic import JsonValue, SecretStr

    from persqa.settings import LogFormat


class GivenSettings(TypedDict, total=False):
    """Settings by their names in `Settings`; None counts as not given."""

    broker_url: str | None
    broker_password: str | SecretStr | None
    database_url: str | None
    database_password: str | SecretStr | None
    model: str | None
    engine: str | None
    engine_args: Mapping[str, JsonValue] | None
    window: int | None
    image_threads: int | None
    image_roots: str | Sequence[str | Path] | None
    blob_store: str | None
    image_hosts: str | Sequence[str] | None
    image_stores: str | Sequence[str] | None
    image_allow_private: bool | None
    image_seconds: float | None
    image_user_agent: str | None
    fetch_threads: int | None
    max_image_pixels: int | None
    model_pixels: int | None
    max_image_bytes: int | None
    image_memory_bytes: int | None
    max_images: int | None
    commit_items: int | None
    commit_seconds: float | None
    queue_bound: int | None
    lease_seconds: float | None
    reconcile_seconds: float | None
    max_message_bytes: int | None
    item_seconds: float | None
    hang_seconds: float | None
    load_seconds: float | None
    engine_failures: int | None
    drain_seconds: float | None
    metrics_port: int | None
    metrics_address: str | None
    submit_token: str | SecretStr | None
    read_token: str | SecretStr | None
    log_format: LogFormat | str | None


class GivenRunOptions(TypedDict, total=False):
    """Options of a run by their names in `RunOptions`; None counts as not given."""

    tag: str | None
    tag_policy: str | None
    pool: str | None
    questions_per_image: int | None
    seed: int | None
    repeatable: bool | None
    model: str | None
    sampling: Sampling | Mapping[str, JsonValue] | None
    system_prompt: str | None
    image_column: str | None
    id_column: str | None
    tag_column: str | None
    image_optional: bool | None
    verbatim: bool | None
    limit: int | None
    sample: int | None
    reject: str | Sequence[str] | None
    logprobs: bool | None
    stop_if: str | Sequence[str] | None
    spot_check: str | Sequence[str] | Mapping[str, float] | None


class GivenSubmitOptions(GivenRunOptions, total=False):
    """All options of a submit, with those of its run; None counts as not given.

    Attributes:
        run: the run's name; by default the file's name without suffix.
        strict: refuse the whole input if one record is wrong.
        recheck: try known broken images again.
        priority: `high`, `normal` or `low`; by default the run keeps its priority, and a new run has `normal`.
        input_format: the input's format, where its suffix does not say it.
        split: the part of a Hugging Face data set.
        image_base: the folder where relative image paths start; by default that of the input.
        reuse: a run with the same options, such as a pilot: its answers to the same questions are not asked again.
    """

    run: str | None
    strict: bool | None
    recheck: bool | None
    priority: str | None
    input_format: str | None
    split: str | None
    image_base: str | Path | None
    reuse: str | None


class GivenOpenOptions(GivenRunOptions, total=False):
    """All options of an open run by name; None counts as not given.

    Attributes:
        key: the field that names a record, by default its content: added twice, it is one record.
        priority: `high`, `normal` or `low`; by default the run keeps its priority, and a new run has `normal`.
        image_base: the folder where relative image paths start; by default the working directory.
    """

    key: str | None
    priority: str | None
    image_base: str | Path | None


class GivenExportOptions(TypedDict, total=False):
    """All options of an export by name; None counts as not given.

    Attributes:
        output_key: the field for the answer, null where there is none; by default `output`.
        only: the status of the items to write; by default any, or `ok` for dialogues.
        reviewed: `accepted` or `not-rejected`: only items that are so reviewed, with answers that people wrote in place
            of the model's. Dialogues then have all that people accepted or wrote, whatever its status.
        file_format: `json`, `jsonl`, `csv`, `parquet` or `hf`, a Hugging Face data set; by default the suffix says.
        with_meta: add a field `persqa` with question, verdict, rung, model, tokens and more.
        chat: write one dialogue for each record, ready for training, instead of the records; the name of a trainer
            (`llava`, `llama-factory`, `ms-swift`, `trl`) makes it the form that this one reads.
        paths: how image files are referred to: `relative` to the export's folder, `absolute`, or `copy`: the images
            travel with the export. By default relative, and absolute for `hf`, which nobody reads by its folder.
        overwrite: replace a file or data set that is there; never an input of a run, an image or the database.
        gallery: write a page for a browser, with pictures, figures and what its items can be chosen by; no other option
            but `sample`, `only`, `reviewed` and `overwrite` goes with it.
        sample: how many items the page shows, by default 200; what failed is among them.
        without_flag: leave out items with one of these flags, given in a list or with commas, as in `refusal,hedge`.
        only_flag: leave out items with none of these flags.
        split: write several parts, as in `train=90%,test=10%`: a file for each, with the part's name before the suffix,
            or the splits of a Hugging Face data set. No picture, nor one that looks the same, is in two of them; the
            run's seed decides, and a picture stays in its part when the run grows.
        one_per_image: only the first answer about each picture, or about those that look the same.
        no_duplicates: leave out an answer about a picture where the question, or the answer, was there already.
    """

    output_key: str | None
    only: str | None
    reviewed: str | None
    file_format: str | None
    with_meta: bool | None
    chat: bool | str | None
    paths: str | None
    overwrite: bool | None
    gallery: bool | None
    sample: int | None
    without_flag: str | Sequence[str] | None
    only_flag: str | Sequence[str] | None
    split: str | None
    one_per_image: bool | None
    no_duplicates: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """The checked options of a submit; `asked` are those of the run."""

    asked: RunOptions
    run: str | None
    strict: bool
    recheck: bool
    priority: Priority | None
    input_format: str | None
    split: str | None
    image_base: Path | None
    reuse: str | None


def parse_submit_options(default_model: str | None, **given: Unpack[GivenSubmitOptions]) -> SubmitOptions:
    """Check the options of a submit; a run that names no model gets the default.

    Raises:
        SettingsError: there is no such option, or a value is wrong; the message names the choices.
        InputError: there is no such folder of images.
    """
    for name in given:
        parse_choice(name, GivenSubmitOptions.__annotations__, name="option of a submit")
    refuse_empty(given, but=("tag_column", "system_prompt"))
    of_run = {name: value for name, value in given.items() if name in RunOptions.model_fields}
    priority = given.get("priority")
    return SubmitOptions(
        asked=parse_options(**{**of_run, "model": given.get("model") or default_model}),
        run=given.get("run"),
        strict=given.get("strict") or False,
        recheck=given.get("recheck") or False,
        priority=None if priority is None else parse_priority(priority),
        input_format=given.get("input_format"),
        split=given.get("split"),
        image_base=folder_of_images(given.get("image_base")),
        reuse=given.get("reuse"),
    )


def folder_of_images(given: str | Path | None) -> Path | None:
    """The folder of images, with its links resolved, as that of an input is."""
    if given is None:
        return None
    folder = Path(given)
    if not str(given) or not folder.is_dir():
        raise InputError(f"{option('image_base')}: no such folder: {str(given)!r}")
    return folder.resolve()
