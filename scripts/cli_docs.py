"""Write docs/cli.md from the help of the commands themselves."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from producer.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.cli.help import Page

DOCS = Path(__file__).parents[1] / "docs" / "cli.md"

_HEAD = """# The command line

What `persqa --help` and `persqa COMMAND --help` say. Written by `make docs`.
"""


def pages() -> Iterator[tuple[str, Page]]:
    """The name and the help of `persqa` and of each command, in the order of its help."""
    group: Any = get_command(app)
    of_all = group.make_context("persqa", [], resilient_parsing=True)
    page: Page = group.page(of_all)
    yield "persqa", page
    names = [name.strip() for title, rows in page.panels.items() if title != "Options" for name, _ in rows]
    for name in names:
        of_one = group.get_command(of_all, name).make_context(name, [], parent=of_all, resilient_parsing=True)
        yield f"persqa {name}", of_one.command.page(of_one)


def written() -> str:
    """The whole text."""
    return _HEAD + "".join(_section(name, page) for name, page in pages())


def _section(name: str, page: Page) -> str:
    about = (fill(_prose(said), 120, break_long_words=False, break_on_hyphens=False) for said in page.about)
    parts = [f"## {name}", f"    {page.usage}", *about]
    if page.examples:
        parts += ["Examples:", "\n".join(f"    {example}" for example in page.examples)]
    for title, rows in page.panels.items():
        cells = [(f"`{_cell(name.strip())}`", _cell(_prose(meaning))) for name, meaning in rows]
        parts.append(f"| {title} | |\n|---|---|\n" + "\n".join(f"| {name} | {meaning} |" for name, meaning in cells))
    return "".join(f"\n{part}\n" for part in parts)


def _prose(text: str) -> str:
    """The text with what Markdown would take for a tag as code."""
    return re.sub(r"(?<!`)(<\w+>|'\{.*?\}')(?!`)", r"`\1`", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    DOCS.write_text(written())
