"""Pilot: a seeded sample of an input, asked in several variants, before the whole of it is.

Each variant is an ordinary run, named after the whole one, as in `faces-pilot-2`: it can be looked at, compared and
exported, and a submit of the whole can take its answers over.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, cast

from persqa.blobs import BlobStore
from persqa.choices import parse_choice
from persqa.errors import InputError, NoDatabase, RunConflict, SettingsError
from persqa.runs import RunOptions, Sampling, check_run_name
from persqa.words import listed, option, shown_value
from producer.connections import Connections
from producer.options import parse_submit_options
from producer.pilots import Cost, Difference, Figures, cost_of, differences, figures_of
from producer.readers import open_input
from producer.run_handle import RunHandle
from producer.submit import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from persqa.runs import Run
    from producer.options import GivenSubmitOptions, SubmitOptions
    from producer.progress import WaitDisplay

#: What variants may differ in, beside the numbers of `Sampling`.
_VARIED = ("tag_policy", "model", "system_prompt")
#: Records of a pilot, by default: a share of them is known to 6 points or so, to both sides.
_SAMPLE = 300
#: More variants than these are a mistake in what was typed.
_MOST_VARIANTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to ask, and what came of it.

    Attributes:
        number: from 1, in the order in which the variants were given.
        run: the name of its run.
        varied: what it may have otherwise than the others, as in `{"tag_policy": "check"}`.
        whole: the options of a submit of the whole input that asks so, and takes over what the pilot was answered.
    """

    number: int
    run: str
    varied: Mapping[str, object]
    whole: GivenSubmitOptions
    figures: Figures
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """What a pilot has found.

    Attributes:
        sample: how many records were asked about.
        records: how many the whole input has.
        variants: in the order in which they were given.
        differences: what could be told apart, whether by chance or not, the clearest first.
    """

    sample: int
    records: int
    variants: tuple[Variant, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Variation:
    number: int
    varied: Mapping[str, object]
    given: GivenSubmitOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotListener:
    """What is told of a pilot while it goes on.

    Attributes:
        full: called repeatedly while the queue is full.
        submitted: called with the run of each variant, and with what it has otherwise, before it is waited for.
        display: of the wait; by default a progress bar on a terminal.
    """

    full: Callable[[], None] = lambda: None
    submitted: Callable[[RunHandle, Mapping[str, object]], None] = lambda _run, _varied: None
    display: WaitDisplay | None = None


class PilotRunner:
    """Asks all variants, one after the other, so that their times can be compared."""

    def __init__(
        self,
        connections: Connections,
        data: str | Path | Sequence[Mapping[str, object]],
        *,
        listener: PilotListener | None = None,
    ) -> None:
        """Prepare.

        Args:
            connections: the database, and the broker of a fleet; or how a worker on this machine is to be started.
            data: the input, which is read several times.
            listener: what is told of each variant.

        Raises:
            InputError: the input can be read only once.
        """
        if str(data) == "-" or not isinstance(data, (str, Path, list, tuple)):
            raise InputError("a pilot reads its input for each variant: write it into a file, or give a list")
        self._connections, self._data = connections, data
        self._listener = listener or PilotListener()

    def ask(
        self,
        *,
        vary: Mapping[str, Sequence[object]],
        price_per_hour: float | None,
        given: GivenSubmitOptions,
    ) -> Pilot:
        """Ask all variants about the same records; what is answered already is not asked again.

        Raises:
            SettingsError: an option is wrong; nothing was written.
        """
        for name in ("limit", "reuse"):
            if given.get(name) is not None:
                raise SettingsError(f"{option(name)}: a pilot draws a sample of its own: leave it out")
        if price_per_hour is not None and not price_per_hour > 0:
            raise SettingsError(f"{option('price_per_hour')}: {price_per_hour:g} is no price: write more than 0")
        variations = _variations(vary, cast("GivenSubmitOptions", {**given, "sample": given.get("sample") or _SAMPLE}))
        options = [self._options(one) for one in variations]
        named = self._named(options)
        runs: dict[int, tuple[Run, int, int]] = {}
        # The workers of one model answer all of its variants.
        by_model = sorted(zip(variations, options, strict=True), key=lambda one: str(one[1].asked.model))
        for _, group in groupby(by_model, key=lambda one: one[1].asked.model):
            self._ask_one_model(list(group), named, runs)
        return self._found(variations, runs, price_per_hour)

    def _options(self, variation: _Variation) -> SubmitOptions:
        return parse_submit_options(self._connections.settings.model, **variation.given)

    def _ask_one_model(
        self,
        variations: Sequence[tuple[_Variation, SubmitOptions]],
        named: _Names,
        runs: dict[int, tuple[Run, int, int]],
    ) -> None:
        model = variations[0][1].asked.model
        settings = self._connections.settings
        own = (
            Connections(settings.model_copy(update={"model": model}), local_worker=True)
            if self._connections.local
            else None
        )
        try:
            for variation, options in variations:
                handle = self._submit(own or self._connections, variation, options, named)
                assert handle.submission is not None
                self._listener.submitted(handle, variation.varied)
                handle.wait(display=self._listener.display)
                done = handle.submission
                runs[variation.number] = handle.run, done.records, done.whole or done.records
        finally:
            if own is not None:
                own.close()

    def _submit(
        self, connections: Connections, variation: _Variation, options: SubmitOptions, named: _Names
    ) -> RunHandle:
        while True:
            name = named.take(options.asked)
            try:
                given = cast("GivenSubmitOptions", {**variation.given, "run": name})
                return RunHandle(connections, *submit(connections, self._data, on_full=self._listener.full, **given))
            except RunConflict:
                # Of other data, or of another version of them: it stays as it is.
                if not named.is_known(name):
                    raise

    def _named(self, options: Sequence[SubmitOptions]) -> _Names:
        base = options[0].run
        if base is None:
            settings, one = self._connections.settings, options[0]
            blobs = BlobStore(settings.blob_store)
            base = open_input(self._data, blobs=blobs, input_format=one.input_format, split=one.split).name
        return _Names(base, self._connections)

    def _found(
        self,
        variations: Iterable[_Variation],
        runs: Mapping[int, tuple[Run, int, int]],
        price_per_hour: float | None,
    ) -> Pilot:
        found = {number: self._connections.store.measured.of(run) for number, (run, *_) in runs.items()}
        _, sample, records = next(iter(runs.values()))
        figures = {number: figures_of(measured) for number, measured in found.items()}
        return Pilot(
            sample=sample,
            records=records,
            variants=tuple(
                Variant(
                    number=one.number,
                    run=runs[one.number][0].name,
                    varied=one.varied,
                    whole=_whole(one.given, runs[one.number][0].name),
                    figures=figures[one.number],
                    cost=cost_of(figures[one.number], times=records / sample, price_per_hour=price_per_hour),
                )
                for one in variations
            ),
            differences=tuple(differences(dict(sorted(found.items())))),
        )


class _Names:
    """Names for the runs of a pilot: those of the same options again, so that a repetition goes on, or new ones."""

    def __init__(self, base: str, connections: Connections) -> None:
        check_run_name(base)
        self._base = base
        pattern = re.compile(re.escape(f"{base}-pilot-") + r"([1-9]\d*)")
        connections.store.prepare()
        self._known: dict[int, RunOptions] = {}
        with suppress(NoDatabase):
            found = [(run, pattern.fullmatch(run.name)) for run in connections.store.runs.all()]
            self._known = {int(match[1]): run.options for run, match in found if match}
        self._taken: set[int] = set()

    def is_known(self, name: str) -> bool:
        """Whether a run had this name before the pilot."""
        return int(name.rpartition("-")[2]) in self._known

    def take(self, asked: RunOptions) -> str:
        """A name that nothing else of this pilot has."""
        same = [number for number, known in sorted(self._known.items()) if known == asked and number not in self._taken]
        number = same[0] if same else max([0, *self._known, *self._taken]) + 1
        self._taken.add(number)
        return check_run_name(f"{self._base}-pilot-{number}")


def _variations(vary: Mapping[str, Sequence[object]], given: GivenSubmitOptions) -> list[_Variation]:
    """All ways to ask, as options of a submit.

    Raises:
        SettingsError: something cannot be varied, is varied to nothing or twice the same, or there are too many ways.
    """
    for name, values in vary.items():
        parse_choice(name, (*_VARIED, *Sampling.model_fields), name="option that a pilot varies")
        if not values or len(set(map(repr, values))) < len(values):
            has = listed([shown_value(value) for value in values], "and") if values else "none"
            raise SettingsError(f"{option('vary')}: {name} needs values that differ, and has {has}")
        if given.get(name) is not None:
            raise SettingsError(f"{option('vary')}: {name} is given by {option(name)}, too: leave one of them out")
    ways = list(product(*([(name, value) for value in values] for name, values in vary.items())))
    if len(ways) > _MOST_VARIANTS:
        raise SettingsError(f"{option('vary')}: these are {len(ways)} variants; ask at most {_MOST_VARIANTS} at once")
    return [_Variation(number, dict(way), _with(given, dict(way))) for number, way in enumerate(ways, 1)]


def _with(given: GivenSubmitOptions, way: Mapping[str, object]) -> GivenSubmitOptions:
    numbers = {name: value for name, value in way.items() if name not in _VARIED}
    rest = {name: value for name, value in way.items() if name in _VARIED}
    if numbers:
        sampling = given.get("sampling") or {}
        whole = sampling.model_dump(exclude_unset=True) if isinstance(sampling, Sampling) else dict(sampling)
        rest["sampling"] = {**whole, **numbers}
    return cast("GivenSubmitOptions", {**given, **rest})


def _whole(given: GivenSubmitOptions, run: str) -> GivenSubmitOptions:
    wanted = {name: value for name, value in given.items() if value is not None and name != "sample"}
    return cast("GivenSubmitOptions", {**wanted, "reuse": run})
