"""What all flags of one item cost together: processor time of looking at its answer and its picture."""

from __future__ import annotations

import random
import time
from typing import Final

from PIL import Image

from persqa.flags import flags_of_answer, look_at
from persqa.generations import FinishReason
from tests.support.flag_corpus import TAG, sentences

_QUESTION: Final = "How would you describe <mam>'s attire?"
_SIDE = 768
_WORDS: Final = """
    coat hat scarf shirt long short wool silk dotted striped plain dark light old new boots shoes gloves belt
    bag ring watch tie with and under over the a that has been worn before by people who stand in front of
    houses near rivers
""".split()  # noqa: SIM905


def answers() -> dict[str, list[str]]:
    """What is measured: usual answers, one of 2,000 characters, and one that a broken model may give."""
    chance = random.Random(2)
    said = "<mam> is wearing"
    while len(said) < 2_000:
        said += f" {' '.join(chance.choices(_WORDS, k=12))},"
        if chance.random() < 0.5:
            said = f"{said[:-1]}. It is"
    signs = "abcdefgh <>*\"'`#|[]{}&;?.\n"
    return {
        "usual answers": [one.answer for one in sentences("none")],
        "2,000 characters": [f"{said[:1999]}."],
        "100,000 characters of anything": ["".join(chance.choices(signs, k=100_000))],
    }


def microseconds(texts: list[str], *, rounds: int) -> float:
    """Processor time an item: the least of many short rounds, as what is beside it on the machine only adds."""
    image = Image.effect_noise((_SIDE, _SIDE), 80).convert("RGB")
    least = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        for text in texts:
            flags_of_answer(text, question=_QUESTION, tag=TAG, finish_reason=FinishReason.STOP)
            look_at(image)
        least = min(least, time.thread_time() - start)
    return least * 1e6 / len(texts)
