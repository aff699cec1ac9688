"""Opening a run that grows: with new options, or with those that it has."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.choices import parse_choice, refuse_empty
from persqa.controls import set_priority
from persqa.errors import NoDatabase, RunConflict, SettingsError
from persqa.questions import load_pool
from persqa.runs import RunOptions, check_run_name, parse_options, parse_priority
from persqa.words import listed, option
from producer.itemizing import limits_of
from producer.open_run import OpenRun
from producer.options import GivenOpenOptions, folder_of_images

if TYPE_CHECKING:
    from typing import Unpack

    from persqa.runs import Run
    from producer.connections import Connections

#: Which part of a data set is taken: an open run has no whole.
_OF_DATA_SETS = ("limit", "sample")


def open_run(connections: Connections, name: str, **given: Unpack[GivenOpenOptions]) -> OpenRun:
    """Open a run, as `Client.open_run` describes."""
    for one in given:
        parse_choice(one, GivenOpenOptions.__annotations__, name="option of an open run")
    refuse_empty(given, but=("tag_column", "system_prompt"))
    if parts := [one for one in _OF_DATA_SETS if given.get(one) is not None]:
        raise SettingsError(
            f"an open run takes each record that is added: leave out {listed(map(option, parts), 'and')}"
        )
    check_run_name(name)
    store, settings = connections.store, connections.settings
    store.prepare()
    known = _known(connections, name)
    base = folder_of_images(given.get("image_base")) or Path.cwd()
    asked = _options(known, settings.model, given)
    pool = load_pool(asked.pool)
    pool.draw(asked.questions_per_image, seed=0, key="")  # Refuses a pool that is too small.
    run = store.additions.open(
        name,
        options=asked,
        pool_digest=pool.digest,
        base=str(base),
        limits=limits_of(settings),
        key_field=given.get("key") or (known.key_field if known else None),
    )
    if (priority := given.get("priority")) is not None and (wanted := parse_priority(priority)) is not run.priority:
        run, _moved = set_priority(store, run, wanted, connections.broker_url)
    return OpenRun(connections, run, base=str(base))


def _known(connections: Connections, name: str) -> Run | None:
    with suppress(NoDatabase):
        return connections.store.runs.get(name)
    return None


def _options(known: Run | None, default_model: str | None, given: GivenOpenOptions) -> RunOptions:
    """The options of the run, with those that are given now."""
    of_run = {name: value for name, value in given.items() if name in RunOptions.model_fields and value is not None}
    if known is None:
        return parse_options(**{**of_run, "model": given.get("model") or default_model})
    if not known.grows:
        raise RunConflict(f"the run {known.name!r} is a data set, to which nothing is added: choose another name")
    there = {name: getattr(known.options, name) for name in known.options.model_fields_set}
    return parse_options(**{**there, **of_run})
