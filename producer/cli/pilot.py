"""`persqa pilot`: a sample of an input in several variants, before the whole of it is asked."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from persqa.choices import parse_choice
from persqa.clock import duration
from persqa.errors import SettingsError
from persqa.runs import Sampling
from persqa.words import counted, option, shown_value, to_type
from producer.cli import options
from producer.cli.engine_flags import EngineFlags
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.cli.printing import console, notes, plain, print_json, say, table
from producer.cli.submit import EXIT_FRUITLESS, full_queue_note, report_submission, say_who_is_missing
from producer.cli.submit_flags import SubmitFlags
from producer.cli.typed import text_or_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from producer import RunHandle
    from producer.intervals import Share
    from producer.options import GivenSubmitOptions
    from producer.pilot import Pilot, Variant

#: Prompts as the person named them, by their text.
_Prompts = dict[str, str]

#: What `--vary` takes, as it is typed.
_VARIED = ("tag_policy", "model", "prompt", *Sampling.model_fields)

_of_pilot = partial(typer.Option, rich_help_panel="Pilot")


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotFlags:
    """The options that only a pilot has."""

    sample: Annotated[
        int,
        _of_pilot(
            "--sample",
            metavar="N",
            parser=whole("--sample", 1),
            help="How many records to draw by --seed; all where there are fewer.",
        ),
    ] = 300
    vary: Annotated[
        list[str] | None,
        _of_pilot(
            "--vary",
            metavar="NAME=A,B",
            help="Ask once with each value: tag_policy, model, prompt (files with what the model is told before each "
            "question), or a number of --sampling such as temperature. May be repeated: every combination is asked.",
        ),
    ] = None
    price_per_hour: Annotated[
        float | None,
        _of_pilot(
            "--price-per-hour",
            metavar="PRICE",
            help="What the machines that answer cost an hour: the whole input and one good pair then have a price.",
        ),
    ] = None


@expanded
def command(  # noqa: PLR0913 - each is an option of its own
    data: options.Input,
    *,
    own: PilotFlags,
    flags: options.AskFlags,
    engine: EngineFlags,
    image_roots: options.ImageRoots = None,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Ask about a sample of INPUT in several variants, and say what each comes to and what the whole would cost.

    All variants are asked about the same records. Each is an ordinary run, as in faces-pilot-2, that other commands
    take. Without a broker, each model gets a worker on this machine. At the end stands what to type to ask the whole
    input like one of them, without asking again what the pilot has asked.

    Safe to repeat: what has a result is not asked again. Exit code 5 says that no variant has an answer that is ok.

    Examples:
        persqa pilot faces/faces.jsonl --vary tag_policy=check,repair
        persqa pilot photos/ --sample 100 --vary prompt=short.txt,long.txt
        persqa pilot people.csv --vary model=small,large --price-per-hour 2.5
    """
    settings = where.settings(
        model=flags.model,
        engine_args=engine.arguments(),
        model_pixels=engine.model_pixels,
        image_roots=image_roots,
    )
    prompts: _Prompts = {}
    varied = _parse_vary(own.vary or [], prompts)
    from producer import Client
    from producer.pilot import PilotListener

    with Client(settings) as client:

        def submitted(handle: RunHandle, varied: Mapping[str, object]) -> None:
            if not as_json:
                say(f"[bold]{plain(_said(varied, prompts))}[/]", to=notes)
                report_submission(handle)
            if settings.broker_url is not None:
                say_who_is_missing(client, handle)

        listener = PilotListener(full=full_queue_note(settings, "pilot"), submitted=submitted)
        given = cast("GivenSubmitOptions", {**flags.given(), "sample": own.sample})
        pilot = client.pilot(data, vary=varied, price_per_hour=own.price_per_hour, listener=listener, **given)
    common = ["persqa", "run" if settings.broker_url is None else "submit", data]
    if settings.broker_url is None:
        common += _worker_options(engine, image_roots)
    if as_json:
        print_json(_facts(pilot, prompts, common))
    else:
        _print(pilot, prompts, common)
    if not any(variant.figures.ok.part for variant in pilot.variants):
        raise typer.Exit(EXIT_FRUITLESS)


def _worker_options(engine: EngineFlags, image_roots: str | None) -> list[str]:
    given = {
        "--engine-args": engine.engine_args,
        "--max-pixels": engine.model_pixels,
        "--image-roots": image_roots,
    }
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def _parse_vary(typed: Sequence[str], prompts: _Prompts) -> dict[str, list[object]]:
    """What is varied, by the names of the client; files are read, and remembered by what is in them.

    Raises:
        SettingsError: it is not of the form, or a file cannot be read.
    """
    varied: dict[str, list[object]] = {}
    for one in typed:
        name, equals, values = one.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not values:
            raise SettingsError(f"--vary: {shown_value(one)} says no values: write NAME=A,B")
        parse_choice("prompt" if name == "system_prompt" else name, _VARIED, name="option that a pilot varies")
        named = "system_prompt" if name == "prompt" else name
        if named in varied:
            raise SettingsError(f"--vary: {name} stands there twice: write all its values behind one comma each")
        texts = [value.strip() for value in values.split(",")]
        if twice := [text for place, text in enumerate(texts) if text in texts[:place]]:
            raise SettingsError(f"--vary: {name} has {shown_value(twice[0])} twice: write values that differ")
        varied[named] = [_value(name, text, prompts) for text in texts]
    return varied


def _value(name: str, text: str, prompts: _Prompts) -> object:
    if name == "prompt":
        read = text_or_file(f"@{text}", "--vary")
        assert read is not None
        prompts[read] = text
        return read
    if name in ("tag_policy", "model", "system_prompt"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(varied: Mapping[str, object], prompts: _Prompts) -> str:
    """As in `tag_policy=check prompt=short.txt`."""
    parts = [
        f"prompt={prompts[str(value)]}" if value in prompts else f"{name}={value}" for name, value in varied.items()
    ]
    return " ".join(parts) or "as given"


def _typed(variant: Variant, prompts: _Prompts, common: Sequence[str]) -> str:
    """The command that asks the whole input like this variant."""
    words = list(common)
    given = dict(variant.whole)
    for field in fields(SubmitFlags):
        value = given.get(field.name)
        if value is None or value is False:
            continue
        flag = option(field.name)
        words += [flag] if value is True else [flag, _text(field.name, value, prompts)]
    return to_type(shlex.join(words))


def _text(name: str, value: object, prompts: _Prompts) -> str:
    if name == "system_prompt" and str(value) in prompts:
        return f"@{prompts[str(value)]}"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _print(pilot: Pilot, prompts: _Prompts, common: Sequence[str]) -> None:
    drawn = f"{counted(pilot.sample, 'record')} of {pilot.records}, drawn by the seed"
    say(drawn if pilot.sample < pilot.records else f"all {counted(pilot.records, 'record')} of the input")
    variants = pilot.variants
    heads = [str(one.number) for one in variants]
    shown = table(["variant", *heads], keys=["variant", *heads])
    for name in variants[0].varied:
        cells = [_said({name: one.varied[name]}, prompts).partition("=") for one in variants]
        shown.add_row(plain(cells[0][0]), *(plain(value) for _, _, value in cells))
    for name, cells in _rows(variants):
        shown.add_row(plain(name), *map(plain, cells))
    console.print(shown, "")
    say("[dim]behind a share: its 95 % interval; behind characters: what a tenth of the answers is below, and above[/]")
    _print_differences(pilot)
    for one in variants:
        asks = f"to ask the whole input like {one.number}" if len(variants) > 1 else "to ask the whole input"
        say(f"{asks}: {plain(_typed(one, prompts, common))}")


def _rows(variants: Sequence[Variant]) -> Iterator[tuple[str, list[str]]]:
    """What the table says of each variant; what none of them has is left out."""
    found = [one.figures for one in variants]
    yield "run", [one.run for one in variants]
    yield "items", [str(one.items) for one in found]
    yield "keep the tag rule", [_share(one.ok) for one in found]
    yield "... at once", [_share(one.first) for one in found]
    if any(one.unusable for one in found):
        yield "without an answer", [str(one.unusable) for one in found]
    for flag in sorted({flag for one in found for flag in one.flags}):
        yield flag, [_share(one.flag(flag)) for one in found]
    yield "characters of an answer", ["" if one.characters is None else _spread(one.characters) for one in found]
    yield "tokens a pair", [f"{one.tokens:.1f}" for one in found]
    yield "seconds a pair", [f"{one.seconds_each:.3g}" for one in found]
    yield "time for the whole", [_time(one.cost.seconds) for one in variants]
    if any(one.cost.price is not None for one in variants):
        yield "cost of the whole", [_money(one.cost.price) for one in variants]
        yield "cost of a good pair", [_money(one.cost.good_price) for one in variants]


def _time(seconds: float) -> str:
    """As in `about 0:27 min` or `about 1:02:03 h`."""
    said = duration(seconds)
    return f"about {said} {'min' if said.count(':') == 1 else 'h'}"


def _share(one: Share) -> str:
    return f"{one} ({one.between})" if one.whole else ""


def _spread(characters: tuple[int, int, int]) -> str:
    middle, low, high = characters
    return f"{middle} ({low} to {high})"


def _money(price: float | None) -> str:
    return "" if price is None else f"{price:.2f}" if price >= 1 else f"{price:.2g}"


def _print_differences(pilot: Pilot) -> None:
    if len(pilot.variants) == 1:
        return
    order = ["ok", "first", *sorted({one.what for one in pilot.differences} - {"ok", "first", "longer"}), "longer"]
    real = sorted((one for one in pilot.differences if one.is_real), key=lambda one: order.index(one.what))
    say("More than chance:" if real else "No difference is more than chance makes.")
    for one in real:
        say(f"  {plain(one)}")
    compared = counted(len(pilot.differences), "comparison was", "comparisons were")
    if pilot.differences:
        say(
            f"[dim]{compared} made at once, and the best of many is often chance: so each counts only if chance makes "
            "it as much rarer (Holm's correction). With what is named here, a pilot is wrong at most once in 20.[/]"
        )
    console.print()


def _facts(pilot: Pilot, prompts: _Prompts, common: Sequence[str]) -> dict[str, object]:
    return {
        "sample": pilot.sample,
        "records": pilot.records,
        "variants": [
            {
                "number": one.number,
                "run": one.run,
                "varied": dict(one.varied),
                **asdict(one.figures),
                "seconds_each": one.figures.seconds_each,
                "whole": asdict(one.cost),
                "to_type": _typed(one, prompts, common),
            }
            for one in pilot.variants
        ],
        "differences": [{**asdict(one), "is_real": one.is_real} for one in pilot.differences],
    }
