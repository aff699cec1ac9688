"""Spot checks: the same question asked otherwise, for a seeded share of items, to see what the picture is worth.

Checks have seeds of their own, all of them: so each differs from the answer by chance as much as `again` does, and by
what it leaves out or changes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias, cast

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from persqa.words import option, shown_value


class Check(StrEnum):
    """How the question is asked once more."""

    BLIND = "blind"  #: without the picture
    SWAPPED = "swapped"  #: with the picture of another record
    AGAIN = "again"  #: the same, with another seed


#: Of the items, which part gets which check, from 0 to 1.
Shares: TypeAlias = Mapping[Check, float]

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_RANGE: Final = 2**32


def parse_shares(given: object) -> dict[Check, float] | None:
    """Read shares: a text such as `blind=2%,again=0.02`, several of them, or a mapping.

    Raises:
        SettingsError: there is no such check, it stands there twice, or its share is none.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        pairs = [(str(name), value) for name, value in cast("Mapping[object, object]", given).items()]
    else:
        texts = list(cast("Iterable[object]", given)) if isinstance(given, (list, tuple)) else [given]
        parts = [part for text in texts for part in str(text).split(",")]
        pairs = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in parts)]
    shares: dict[Check, float] = {}
    for name, value in pairs:
        check = parse_choice(name, Check, name="spot check")
        if check in shares:
            raise SettingsError(f"{option('spot_check')}: {check} stands there twice")
        shares[check] = _share(check, value)
    # In one order, so that the same checks are the same options.
    return {check: shares[check] for check in Check if check in shares} or None


def _share(check: Check, value: object) -> float:
    if isinstance(value, int | float):
        share = float(value)
    else:
        found = _PERCENT.fullmatch(str(value))
        share = float(found[1]) / (100 if found[2] else 1) if found else math.nan
        if found and not found[2] and 1 < share <= 100:
            raise SettingsError(f"{option('spot_check')}: {check}={value} lacks the %: write {check}={value}%")
    if not 0 < share <= 1:
        raise SettingsError(
            f"{option('spot_check')}: {check}={shown_value(value)} is no share of the items: write more than 0 %, and "
            f"at most 100 %, as in {check}=2%"
        )
    return share


def checks_of(shares: Shares, *, seed: int, index: int) -> list[Check]:
    """The checks of an item, by its place in the run: the same ones whoever asks, and however often."""
    return [check for check, share in shares.items() if draw_number(seed, index, check) < share * _RANGE]


def draw_number(seed: int, *what: object) -> int:
    """A number of 32 bits that follows from the run's seed and from what it is drawn for."""
    text = "\0".join(map(str, (seed, "spot check", *what)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
