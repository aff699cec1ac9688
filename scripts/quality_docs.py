"""Write the figures of docs/quality.md: how well each flag is given to its labelled sentences."""

from __future__ import annotations

from pathlib import Path

from persqa.flags import ANSWER_FLAGS, Flag
from tests.support.flag_corpus import marks, sentences

DOCS = Path(__file__).parents[1] / "docs" / "quality.md"

_COLUMNS = ["flag", "sentences", "precision, told", "recall, told", "precision, held", "recall, held"]
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
_START, _END = "<!-- figures -->\n", "<!-- end -->"


def figures() -> str:
    """The table."""
    rows = (
        f"| `{flag}` | {len(sentences(flag))} | {_shown(flag, held=False)} | {_shown(flag, held=True)} |\n"
        for flag in ANSWER_FLAGS
    )
    return _HEAD + "".join(rows)


def written(text: str) -> str:
    """The text with the table written anew."""
    start = text.index(_START) + len(_START)
    return text[:start] + figures() + text[text.index(_END, start) :]


def _shown(flag: Flag, *, held: bool) -> str:
    found = marks(flag, held=held)
    return f"{found.precision:.2f} | {found.recall:.2f}"


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text()))
