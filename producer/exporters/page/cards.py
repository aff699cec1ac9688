"""Cards: the items of a page, and what they can be chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producer.markup import Markup, element, joined
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.pairs import PairRow

#: Characters of an answer, and of a shorter text.
_LONG = 1000
_SHORT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A thumbnail.

    Attributes:
        source: its `data:` URI; None where there is none.
        words: what the image is called, or why there is none.
    """

    source: str | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An item of a page.

    Attributes:
        row: the item with its result.
        kinds: the violations of its generations, each kind once.
        pictures: a thumbnail of each image.
        more: how many images it has beside these.
    """

    row: PairRow
    kinds: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the items of a page can be chosen by, the most frequent first.

    Attributes:
        items: how many there are.
        statuses: theirs.
        kinds: the violations of their generations.
        questions: their topics.
        reviews: what people say of them.
    """

    items: int
    statuses: Sequence[str] = ()
    kinds: Sequence[str] = ()
    questions: Sequence[str] = ()
    reviews: Sequence[str] = ()


def card(given: Card) -> Markup:
    """One item."""
    row = given.row
    pictures = [_picture(picture, row) for picture in given.pictures]
    more = element("p", f"and {given.more} more", class_="soft") if given.more else None
    return element(
        "article",
        element("div", *pictures, more, class_="pictures") if pictures else None,
        element("h3", shown(row.question, _SHORT) or "No question", class_="words", dir="auto"),
        *_answers(row),
        _labels(given),
        _why(row, given.kinds),
        element("p", f"Note: {shown(row.note, _SHORT)}", class_="words") if row.note else None,
        element("p", " · ".join(_names(row)), class_="soft words"),
        class_="pair",
        data_status=row.status,
        data_kind=_listed(given.kinds),
        data_question=shown(topic_of(row), _SHORT),
        data_review=_listed(reviews_of(row) or ["none"]),
    )


def filters(choices: Choices) -> Markup:
    """The heading of the items, and what chooses among them; shown where scripts run."""
    number = element("output", id="number", aria_live="polite")
    chosen = [
        _choice("status", "Status", choices.statuses),
        _choice("kind", "Violation", choices.kinds),
        _choice("question", "Question", choices.questions),
        _choice("review", "Review", choices.reviews),
        element("label", "Text ", element("input", id="text", type="search", autocomplete="off")),
        element("button", "All", type="reset"),
        number,
    ]
    return joined([
        element("h2", f"{choices.items:,} items" if choices.items != 1 else "1 item", id="items"),
        element("form", *chosen, id="filters", hidden=True),
    ])  # fmt: skip


def topic_of(row: PairRow) -> str:
    """By what questions are told apart: the topic; of a prompt of a record's own, nothing."""
    return row.topic or ("own prompt" if row.question else "none")


def reviews_of(row: PairRow) -> list[str]:
    """What people say of it, in the words of the gallery."""
    said = (row.review, "edited" if row.edited_answer is not None else None, "starred" if row.starred else None)
    return [str(word) for word in said if word]


def _choice(name: str, title: str, values: Sequence[str]) -> Markup | None:
    if len(values) < 2:
        return None
    options = [element("option", "any", value="")]
    for value in values:
        said = "not reviewed" if (name, value) == ("review", "none") else shown(value, _SHORT)
        options.append(element("option", said, value=shown(value, _SHORT)))
    return element("label", f"{title} ", element("select", *options, id=name))


def _listed(words: Sequence[str]) -> str:
    """With a blank at both ends of each, so that one is found and no part of one."""
    return f" {' '.join(words)} " if words else ""


def _picture(picture: Picture, row: PairRow) -> Markup:
    if picture.source is None:
        return element("p", shown(picture.words, _SHORT), class_="missing words")
    said = shown(f"Image of item {row.item_id}: {picture.words}", _SHORT)
    return element("img", src=picture.source, alt=said, decoding="async")


def _answer(answer: str | None, tag: str) -> Markup:
    if answer is None:
        return element("p", "No answer", class_="soft")
    if not answer.strip():
        return element("p", "An empty answer", class_="soft")
    return element("p", with_tag(answer, tag, _LONG), class_="words", dir="auto")


def with_tag(answer: str, tag: str, most: int) -> Markup:
    """An answer cut to so many characters, its first tag set off."""
    text, name = shown(answer, most), shown(tag)
    before, found, after = text.partition(name) if name else (text, "", "")
    return joined([before, element("mark", found) if found else None, after])


def _answers(row: PairRow) -> list[Markup]:
    if row.edited_answer is None:
        return [_answer(row.answer, row.tag)]
    before = element("p", "The model's answer: ", with_tag(row.answer or "none", row.tag, _LONG), class_="soft words")
    return [_answer(row.edited_answer, row.tag), before]


def _labels(given: Card) -> Markup:
    row = given.row
    labels = [element("span", word, class_=f"label {word}") for word in (row.status, *reviews_of(row))]
    labels += [element("span", kind, class_="label") for kind in given.kinds]
    if row.forced:
        labels.append(element("span", "tag forced", class_="label"))
    return element("p", *labels, class_="labels")


def _why(row: PairRow, kinds: Sequence[str]) -> Markup | None:
    reason = None if row.reason in kinds else row.reason
    said = [part for part in (reason, row.detail) if part]
    return element("p", shown(": ".join(said), _SHORT), class_="soft words") if said else None


def _names(row: PairRow) -> list[str]:
    names = [f"item {row.item_id}", row.record_id, row.image, row.model]
    return [shown(name, _SHORT) for name in names if name]
