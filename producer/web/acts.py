"""Acts: what people set going on a page and what may take long, such as asking a hundred thousand items again."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, TypeVar

from persqa.errors import PersqaError, RunConflict

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

    from persqa.results import Status
    from persqa.runs import RunId

_T = TypeVar("_T")
#: What is remembered, at most, the oldest is forgotten first: acts, and what people were asked about.
_MOST_ACTS, _MOST_ASKED = 200, 10
_UNEXPECTED = "it ended unexpectedly: this is a defect of PersQA, and what the gallery has printed tells of it"


@dataclass(slots=True, kw_only=True)
class Act:
    """Something that goes on, or has ended.

    Attributes:
        number: by what it is found again.
        run: the name of the run that it changes.
        verb: what it does, such as `requeue`.
        said: what has happened, in a sentence, once it has ended.
        failed: whether it ended with an error.
    """

    number: str
    run: str
    verb: str
    said: str = ""
    failed: bool = False
    ended: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person was asked about: exactly these items, however many there are when the answer comes."""

    run_id: RunId
    items: array[int]
    status: Status


class Acts:
    """Runs acts in threads of their own, so that no request waits for them, and remembers how they ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._acts: OrderedDict[str, Act] = OrderedDict()
        self._asked: OrderedDict[str, Asked] = OrderedDict()

    def start(self, run: str, verb: str, do: Callable[[], str]) -> Act:
        """Begin an act.

        Args:
            run: the name of the run.
            verb: what is done to it; one act at a time does that.
            do: does it, and says what has happened.

        Raises:
            RunConflict: the same is under way.
        """
        with self._lock:
            if any(act.run == run and act.verb == verb and not act.ended.is_set() for act in self._acts.values()):
                raise RunConflict(f"the same is under way for the run {run!r}: wait until it has ended")
            act = Act(number=secrets.token_hex(8), run=run, verb=verb)
            _keep(self._acts, act.number, act, _MOST_ACTS)
        Thread(target=_carry_out, args=(act, do), name="persqa-act", daemon=True).start()
        return act

    def get(self, number: str) -> Act | None:
        """The act of this number, unless it is forgotten."""
        return self._acts.get(number)

    def remember(self, asked: Asked) -> str:
        """Keep what a person is asked about; returns by what it is found again."""
        number = secrets.token_hex(8)
        with self._lock:
            _keep(self._asked, number, asked, _MOST_ASKED)
        return number

    def asked(self, number: str) -> Asked | None:
        """What a person was asked about, unless it is forgotten."""
        return self._asked.get(number)


def _keep(kept: OrderedDict[str, _T], number: str, one: _T, most: int) -> None:
    kept[number] = one
    while len(kept) > most:
        kept.popitem(last=False)


def _carry_out(act: Act, do: Callable[[], str]) -> None:
    act.said, act.failed = _UNEXPECTED, True
    try:
        act.said, act.failed = do(), False
    except PersqaError as error:
        act.said = str(error)
    finally:
        act.ended.set()
