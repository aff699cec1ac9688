"""Markup that is made in Python."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from producer.markup import Markup, element, joined


class _Read(HTMLParser):
    """What a browser would find."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_a_text_is_text_wherever_it_stands(inside: str, attribute: str) -> None:
    read = _Read()
    read.feed(element("p", inside, element("b", inside), title=attribute, data_x=attribute))
    read.close()
    assert read.elements == [("p", {"title": attribute, "data-x": attribute}), ("b", {})]
    assert read.text == inside * 2


def test_elements_are_written_as_browsers_read_them() -> None:
    assert element("p", "a", None, element("br"), class_="x", hidden=True, title=None, lang=False, width=1.5) == (
        '<p class="x" hidden width="1.5">a<br></p>'
    )
    assert joined(["<", Markup("<"), None]) == "&lt;<"
    assert element("meta", name="viewport", http_equiv="X") == '<meta name="viewport" http-equiv="X">'
