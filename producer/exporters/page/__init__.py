"""Page: some items of a run in one file, with their pictures and the run's figures, for people who have no PersQA.

It asks for nothing from anywhere: pictures, style and script are inside of it, and its own content security policy
lets a browser load nothing else. Without scripts it is a plain list.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.system_errors import in_words
from producer.exporters.drafts import draft_file
from producer.exporters.page.cards import Card, Choices, Picture, card, filters, reviews_of, topic_of, with_tag
from producer.exporters.page.facts import Facts, Kept, facts_about
from producer.markup import Markup, element, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Card", "Choices", "Facts", "Kept", "Picture", "reviews_of", "topic_of", "with_tag", "write_page"]

_HERE = Path(__file__).parent


def write_page(facts: Facts, choices: Choices, cards: Iterable[Card], path: Path, *, overwrite: bool = True) -> int:
    """Write a page, which appears when it is whole; only one item at a time is in memory.

    Args:
        facts: what it says of the run.
        choices: what its items can be chosen by.
        cards: the items.
        path: of the file.
        overwrite: whether it may take the place of a file that is there.

    Returns:
        The number of items.

    Raises:
        InputError: the path cannot be written, or must not be overwritten.
    """
    number = 0
    try:
        with draft_file(path, overwrite=overwrite) as draft, draft.open("w", encoding="utf-8") as file:
            file.write(_beginning(facts, choices))
            for one in cards:
                file.write(card(one) + "\n")
                number += 1
            file.write(_end())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {in_words(error, path)}") from error
    return number


def _beginning(facts: Facts, choices: Choices) -> str:
    style = _own("page.css")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(_own('page.js'))}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{facts.run.name} · PersQA"),
        element("style", style),
    )
    body = joined([facts_about(facts), Markup('<section aria-labelledby="items">\n'), filters(choices)])
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n<main>\n{body}\n<div class="grid">\n'


def _end() -> str:
    return f"</div>\n</section>\n</main>\n{element('script', _own('page.js'))}\n</body>\n</html>\n"


def _own(name: str) -> Markup:
    """A file of ours, which is in the page as it stands."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
