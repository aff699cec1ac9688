"""Overview: what only the whole run shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StockAnswer:
    """One answer that many different pictures got.

    Attributes:
        question: as in the pool.
        answer: as one of the items has it.
        items: how many have it, or nearly the same.
        score: how far it stands out, from 0 to 1.
    """

    question: str
    answer: str
    items: int
    score: float


@dataclass(frozen=True, slots=True)
class Overview:
    """What was found, and flagged.

    Attributes:
        stock_answers: the most frequent first.
        near_pictures: items whose picture is nearly, but not wholly, that of an earlier item.
        near_answers: different answers of eight words and more that are nearly the same as an earlier one.
        added: flags that are new since the run was looked over last.
        removed: flags that no longer hold.
    """

    stock_answers: tuple[StockAnswer, ...]
    near_pictures: int
    near_answers: int
    added: int
    removed: int
