"""Phases of a worker from its start to its end, how long each takes as a rule, and what it waits out meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from persqa.models import DEMO_MODEL


class Phase(StrEnum):
    """What a worker is about; the first ones come in this order."""

    STARTING = "starting"  #: its process begins, and opens the database
    IMPORTING = "importing"  #: the libraries of its engine
    LOADING = "loading"  #: the model; the engine has a process of its own, which begins
    WEIGHTS = "weights"  #: the model's weights are being read, and downloaded before where they are not there
    PROFILING = "profiling"  #: the model is run on trial: how much memory it leaves, what must be compiled
    READY = "ready"  #: it takes items
    STOPPING = "stopping"  #: it takes no more, and finishes what it has begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """What is waited out, such as a full disk: a sentence, and since when."""

    sentence: str
    since: datetime


_WORDS: Final = {
    Phase.STARTING: "starting the worker",
    Phase.IMPORTING: "importing the engine",
    Phase.LOADING: "loading the model: starting its process",
    Phase.WEIGHTS: "loading the model: weights",
    Phase.PROFILING: "loading the model: trial and warm-up",
    Phase.READY: "ready",
    Phase.STOPPING: "finishing what it has begun",
}
#: Of the demo model on two cores, idle and busy, in seconds.
_DEMO: Final = {
    Phase.STARTING: (2, 8),
    Phase.IMPORTING: (5, 25),
    Phase.LOADING: (5, 30),
    Phase.WEIGHTS: (3, 30),
    Phase.PROFILING: (1, 10),
}
#: What differs with the size of the model.
_LARGER: Final = {
    Phase.WEIGHTS: "seconds to minutes, by its size; more if it is downloaded first",
    Phase.PROFILING: "up to some minutes",
}


def in_words(phase: Phase) -> str:
    """What goes on, as in `loading the model: weights`."""
    return _WORDS[phase]


def usual(phase: Phase, model: str) -> str | None:
    """How long it takes as a rule, as in `5 to 25 s`; None for what lasts as long as it likes."""
    if model != DEMO_MODEL and phase in _LARGER:
        return _LARGER[phase]
    found = _DEMO.get(phase)
    return None if found is None else f"{found[0]} to {found[1]} s"


def longest(phase: Phase, model: str) -> float | None:
    """After how many seconds it takes longer than usual; None where nobody can tell."""
    known = model == DEMO_MODEL or phase not in _LARGER
    return _DEMO[phase][1] if known and phase in _DEMO else None
