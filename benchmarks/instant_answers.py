"""What the instant executor says, and what it is asked with; without vLLM, which takes ten seconds to load."""

from __future__ import annotations

ANSWER = (
    "<mam> A person with short hair stands before a wall in a red coat and holds a bag in the left hand, looking at "
    "the camera with a smile, while behind them a street with two parked cars and a tree can be seen."
)


def sampling_for(tokens: int) -> dict[str, object]:
    """Sampling parameters with which an answer has so many tokens, its end included."""
    return {"max_tokens": tokens + 1, "temperature": 0.7}
