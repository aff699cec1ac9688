"""Policy: the generations of an item, rung by rung, until one is compliant."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class Rung(StrEnum):
    """One step of a policy's ladder."""

    FREE = "free"  #: the model answers as it likes
    RESEED = "reseed"  #: the same once more, sampled anew
    PREFILL = "prefill"  #: the tag is given to the model as its own first words

    @property
    def forced(self) -> bool:
        """Whether the tag is prefilled, and not written by the model."""
        return self is Rung.PREFILL


class Policy(StrEnum):
    """What happens when an answer breaks the tag rule."""

    CHECK = "check"  #: one free generation, judged and stored as it is
    REPAIR = "repair"  #: free, then sampled anew, then the tag prefilled
    PREFILL = "prefill"  #: the tag is prefilled from the start

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder in order; the first compliant generation ends it."""
        return _LADDERS[self]


_LADDERS = {
    Policy.CHECK: (Rung.FREE,),
    Policy.REPAIR: (Rung.FREE, Rung.RESEED, Rung.PREFILL),
    Policy.PREFILL: (Rung.PREFILL,),
}


def generation_seed(seed: int, *, index: int, rung: Rung, requeues: int) -> int:
    """The sampling seed of one generation of a repeatable run, of 32 bits.

    It follows from the item's index in its run, so another run of the same data has the same seeds. A requeued item
    gets another one, for another answer.
    """
    text = f"{seed}\0{index}\0{rung}\0{requeues}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
