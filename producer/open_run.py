"""OpenRun: a run that records are added to, one by one or many at once, until it is closed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.additions import Added
from persqa.choices import parse_choice, refuse_empty
from persqa.controls import set_priority
from persqa.errors import KeyTaken, NoDatabase, RunConflict, SettingsError
from persqa.questions import load_pool
from persqa.runs import RunOptions, check_run_name, parse_options, parse_priority
from persqa.words import listed, option
from producer.adding import Adder
from producer.appending import appended
from producer.itemizing import limits_of
from producer.options import GivenOpenOptions, folder_of_images
from producer.run_handle import RunHandle
from producer.tickets import Ticket
from producer.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from persqa.runs import Run
    from producer.adding import Done
    from producer.appending import Appended
    from producer.connections import Connections

#: Which part of a data set is taken: an open run has no whole.
_OF_DATA_SETS = ("limit", "sample")


class OpenRun(RunHandle):
    """A run that grows. Any number of programs may add to it at once; for any number of threads, too."""

    def __init__(self, connections: Connections, run: Run, *, base: str) -> None:
        super().__init__(connections, run)
        self._watch = Watch(connections, run)
        self.adder = Adder(connections, run, base=base)

    def add(
        self, record: Mapping[str, object], *, replace: bool = False, on_full: Callable[[], None] = lambda: None
    ) -> Ticket:
        """Add one record: it is in the ledger when this returns, and enqueued.

        Safe to repeat: a record that is there already, by its key and content, stays as it is, and its ticket says so.
        A record that cannot be used is added as well, and ends as `invalid`.

        Args:
            record: as in a data set.
            replace: take the place of another record of the same key, which is kept as an earlier one, with its answer.
            on_full: called repeatedly while the queue is full.

        Raises:
            KeyTaken: another record of this key is there; nothing was changed.
            RunConflict: the run is closed; or a relative path starts in another folder than those of the run.
            RunStopped: the run is cancelled or being deleted.
            BlobsUnavailable: image bytes cannot be stored; nothing was added.
            BrokerUnavailable: the record is in the ledger, and workers enqueue it once Redis answers.
        """
        return self.add_many([record], replace=replace, on_full=on_full)[0]

    def add_many(
        self,
        records: Iterable[Mapping[str, object]],
        *,
        replace: bool = False,
        on_full: Callable[[], None] = lambda: None,
    ) -> list[Ticket]:
        """Add many records, a thousand in each transaction; returns their tickets in order.

        Arguments and errors are as of `add`. Where other records have the keys of some, all others are added, and
        then `KeyTaken` is raised, with the keys: the tickets of the others come when they are added again.
        """
        tickets: list[Ticket] = []
        taken: list[str] = []
        for done in self.adder.add(records, replacing=replace, on_full=on_full):
            tickets += self.tickets(done)
            taken += [str(addition.key) for addition, place in done if place.added is Added.REFUSED]
        if taken:
            are = "is there" if len(taken) == 1 else "are there"
            keys = listed(map(repr, taken), "and")
            raise KeyTaken(
                f"in the run {self.name!r}, {keys} {are} with other content: to take the new one, say replace", taken
            )
        return tickets

    def append(
        self,
        data: str | Path,
        *,
        replace: bool = False,
        input_format: str | None = None,
        split: str | None = None,
        on_full: Callable[[], None] = lambda: None,
    ) -> Appended:
        """Add all records of an input, in batches; what was added before an error stays, and may be given again.

        Args:
            data: as of `Client.submit`.
            replace: as of `add`; without it, other records of keys that are there are refused, and counted.
            input_format: the input's format, where its suffix does not say it.
            split: the part of a Hugging Face data set.
            on_full: as of `add`.

        Raises:
            InputError: it cannot be read, or has no record.
        """
        reader = self.adder.read(data, input_format=input_format, split=split)
        batches = self.adder.add_raw(reader, replacing=replace, on_full=on_full)
        return appended(batches, shown="standard input" if str(data) == "-" else str(data))

    def tickets(self, done: Done) -> list[Ticket]:
        """The tickets of records that were added."""
        return [Ticket(self._watch, place, addition.key) for addition, place in done]

    def close(self) -> None:
        """Let nothing more be added: the run is done when all that it has is answered. Safe to repeat."""
        self.run = self._store.additions.close(self.run)


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
