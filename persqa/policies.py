"""Policy: which generations an item may get, rung by rung, until one is compliant."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class Rung(StrEnum):
    """The step of the ladder a generation belongs to."""

    FREE = "free"  #: the model answers as it likes
    RESEED = "reseed"  #: the same once more, with another seed
    PREFILL = "prefill"  #: the tag is given to the model as its own first words

    @property
    def forced(self) -> bool:
        """Whether the tag was written for the model and not by it."""
        return self is Rung.PREFILL


class Policy(StrEnum):
    """What happens when an answer breaks the tag rule."""

    CHECK = "check"  #: one free generation, judged and stored as it is
    REPAIR = "repair"  #: free, then another seed, then the tag prefilled
    PREFILL = "prefill"  #: the tag is prefilled from the start

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder, in order; the first compliant generation ends it."""
        return _LADDERS[self]


_LADDERS = {
    Policy.CHECK: (Rung.FREE,),
    Policy.REPAIR: (Rung.FREE, Rung.RESEED, Rung.PREFILL),
    Policy.PREFILL: (Rung.PREFILL,),
}


def generation_seed(seed: int, *, item_id: int, rung: Rung, requeues: int) -> int:
    """The sampling seed of one generation: 32 bits, the same whenever it is asked for again.

    A requeued item draws afresh, or it would only repeat the answer it was requeued for.
    """
    text = f"{seed}\0{item_id}\0{rung}\0{requeues}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
