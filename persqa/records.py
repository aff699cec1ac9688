"""Record: one element of the input, kept as given; it is checked here, never repaired."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from json.encoder import c_make_encoder, encode_basestring_ascii  # pyrefly: ignore[missing-module-attribute] - not in its stubs
from typing import TYPE_CHECKING, NamedTuple, cast

from persqa.bare_base64 import SHORTEST
from persqa.conversations import check_conversation, without_image_tokens
from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import RecordError, Rejected
from persqa.image_cells import reference_in
from persqa.reasons import Reason
from persqa.settings import MAX_IMAGE_BYTES, MAX_IMAGES, MAX_MESSAGE_BYTES
from persqa.tags import Tag, parse_tag
from persqa.urls import scheme_of
from persqa.words import kind_of_json, option, shortened, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

#: The text of a list, as Python or JSON writes it, and no list.
_LIST_TEXT = re.compile(r"""\s*[\[({]\s*b?["'{].*[\])}]\s*""", re.DOTALL)
#: Nothing is wrong with such a path, and it is neither a URL nor base64.
_SHORT_PATH = re.compile(rf"[\w./ -]{{,{SHORTEST - 2}}}\w", re.ASCII)
#: In bytes; no system opens a longer path, or a longer name in one.
_LONGEST_PATH = 4096
_LONGEST_NAME = 255
_encode = cast(
    "Callable[[JsonValue, int], tuple[str, ...]]",
    c_make_encoder(None, json.JSONEncoder().default, encode_basestring_ascii, None, ": ", ", ", False, False, True),
)
#: No character has more bytes in UTF-8.
_CHARACTER_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of a record's fields.

    Attributes:
        image: the field with the image references.
        id: the field that names the record for people, if any.
        tag: the field with the record's own tag; empty where no field has one.
    """

    image: str = "image"
    id: str | None = None
    tag: str = "tag"

    @property
    def understood(self) -> tuple[str, ...]:
        """The fields whose values have a meaning, so that text which stands for a list is one."""
        return (self.image, "conversation", *([self.tag] if self.tag else []))


#: The fields of the seed format.
SEED_COLUMNS = Columns()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLimits:
    """What decides, beside the options of a run, which of its records are wrong.

    Attributes:
        max_images: most images of a record.
        max_image_bytes: most bytes of an image inside the record itself.
        max_message_bytes: most bytes of the message of one of its items.
    """

    max_images: int = MAX_IMAGES
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES


#: Those of the default settings.
DEFAULT_LIMITS = RecordLimits()


@dataclass(slots=True, kw_only=True)
class RawRecord:
    """One element of the input, as a reader gives it.

    Attributes:
        place: its place for people, such as `line 7` or `record 7`.
        value: the parsed JSON; the text itself if it is not JSON.
        error: why it cannot be read, if so.
    """

    place: str
    value: JsonValue
    error: RecordError | None = None

    @property
    def json(self) -> str:
        """The value as ASCII JSON, which every database stores unchanged."""
        return json_text(self.value)


class Record(NamedTuple):
    """A usable record.

    Attributes:
        images: the image references, as given, those in cells taken out.
        tag: the record's own tag, or None for that of the run.
        prompt: its own prompt, if the run is verbatim; else empty.
    """

    images: tuple[str, ...]
    tag: Tag | None
    prompt: str = ""


def json_text(value: JsonValue) -> str:
    """The same as `json.dumps` gives, which makes an encoder for each call; the value must hold no circle."""
    return "".join(_encode(value, 0))


def record_key(record_json: str) -> str:
    """A digest of the record's content, whatever its place in the input."""
    return hashlib.blake2b(record_json.encode(), digest_size=16).hexdigest()


def parse_record(
    raw: RawRecord,
    *,
    max_images: int,
    max_image_bytes: int = MAX_IMAGE_BYTES,
    columns: Columns = SEED_COLUMNS,
    image_optional: bool = False,
    verbatim: bool = False,
) -> Record:
    """Check one record against the seed format.

    Args:
        raw: the record.
        max_images: most images of the record.
        max_image_bytes: most bytes of an image inside the record itself.
        columns: the names of its fields.
        image_optional: whether it may have no image.
        verbatim: whether it must have a `prompt` of its own.

    Raises:
        RecordError: it breaks the format; the sentence begins with the place.
    """
    try:
        if raw.error is not None:
            raise raw.error
        if not isinstance(raw.value, dict):
            raise RecordError(Reason.NOT_AN_OBJECT, f"expected an object, found {kind_of_json(raw.value)}")
        fields = raw.value
        check_conversation(fields.get("conversation"))
        images = _images_of(fields, columns.image, max_images, max_image_bytes, optional=image_optional)
        return Record(
            images=images,
            tag=_tag(fields.get(columns.tag), columns.tag) if columns.tag else None,
            prompt=_prompt(fields.get("prompt")) if verbatim else "",
        )
    except RecordError as error:
        raise RecordError(error.reason, f"{place_of(raw, columns.id)}: {error}") from None


def _prompt(value: JsonValue) -> str:
    if not isinstance(value, str) or not value.strip():
        found = kind_of_json(value) if value else "none"
        raise RecordError(Reason.BAD_PROMPT, f"expected text in `prompt`, found {found}")
    prompt = without_image_tokens(value)
    if not prompt.strip():
        raise RecordError(Reason.BAD_PROMPT, "expected text in `prompt`, found nothing but marks of images")
    return prompt


def _tag(value: JsonValue, column: str) -> Tag | None:
    """The record's own tag, if it has one; many data sets have a field of that name that means something else."""
    if value is None:
        return None
    try:
        return parse_tag(value)
    except RecordError as error:
        named = str(error).replace(repr(value), shown_value(value))
        other = f"if `{column}` has no tags, {option('tag_column')} names another field, or none as ''"
        raise RecordError(error.reason, f"{named}; {other}") from None


def place_of(raw: RawRecord, column: str | None) -> str:
    """The place of a record for people, with its id if there is an id column."""
    named = _id_of(raw.value, column)
    return raw.place if named is None else f"{raw.place} (id {shortened(named)})"


def stored_record(record_json: str) -> dict[str, JsonValue]:
    """A record of the ledger; one that is no object stands in a field `record`, as in an export."""
    value = cast("JsonValue", json.loads(record_json))
    return value if isinstance(value, dict) else {"record": value}


def record_id(record: dict[str, JsonValue], column: str | None) -> str | None:
    """What names the record for people: the id column, by default the field `id`; None if it lacks that."""
    return _id_of(record, column or "id")


def _id_of(value: JsonValue, column: str | None) -> str | None:
    found = value.get(column) if isinstance(value, dict) and column is not None else None
    # Exports ask for it in each row, and a number is the usual one that is no text.
    return found if found is None or isinstance(found, str) else str(found) if type(found) is int else json.dumps(found)


def _images_of(
    fields: Mapping[str, JsonValue], column: str, max_images: int, max_image_bytes: int, *, optional: bool
) -> tuple[str, ...]:
    given = fields.get(column)
    # Most are, and looking at one in all other ways takes longer than to parse its record.
    if isinstance(given, str) and _SHORT_PATH.fullmatch(given) and max_images:
        return (given,)
    if optional and reference_in(given) is None:
        return ()
    images = _images(fields, column, max_images)
    _check_data(images, max_image_bytes)
    return images


def _images(fields: Mapping[str, JsonValue], column: str, max_images: int) -> tuple[str, ...]:
    value = fields.get(column)
    given = value if isinstance(value, list) else [value]
    references = [reference_in(part) for part in given]
    wrong = next(
        (place for place, part in enumerate(references) if not isinstance(part, str) or not part.strip()), None
    )
    if wrong is not None or not references:
        found = f"no `{column}`" if column not in fields else f"{_found(value, wrong)} in `{column}`"
        raise RecordError(Reason.BAD_IMAGE_FIELD, f"expected a path or a list of paths, found {found}")
    if len(references) > max_images:
        message = f"{len(references)} images, at most {max_images} are allowed (PERSQA_MAX_IMAGES)"
        raise RecordError(Reason.TOO_MANY_IMAGES, message)
    paths = cast("list[str]", references)
    for path in paths:
        _check_reference(path, column)
    return tuple(paths)


def _found(value: JsonValue, wrong: int | None) -> str:
    """What an image field holds, of a list the element that is no image."""
    if not isinstance(value, list) or wrong is None:
        return kind_of_json(value)
    return f"a list with {kind_of_json(value[wrong])} at place {wrong + 1}"


def _check_reference(reference: str, column: str) -> None:
    """Refuse what no worker can find, so that it is not enqueued, and nobody has to look for it."""
    if "\0" in reference:
        raise RecordError(Reason.BAD_PATH, f"{shown_value(reference)} cannot name a file: it has a NUL character")
    try:
        encoded = reference.encode()
    except UnicodeEncodeError:
        shown = shown_value(reference)
        said = f"{shown} is not UTF-8, which names of images must be: rename the file"
        raise RecordError(Reason.BAD_PATH, said) from None
    if scheme_of(reference):
        return
    if _LIST_TEXT.fullmatch(reference):
        said = f"`{column}` has the text of a list, {shown_value(reference)}, and no list: write one"
        raise RecordError(Reason.BAD_IMAGE_FIELD, said)
    if len(reference) * _CHARACTER_BYTES <= _LONGEST_NAME:
        return
    # Backslashes divide the paths of Windows.
    longest = max(map(len, re.split(rb"[/\\]", encoded)))
    if len(encoded) > _LONGEST_PATH or longest > _LONGEST_NAME:
        most = f"a path has at most {_LONGEST_PATH} bytes, a name in it {_LONGEST_NAME}"
        hint = "base64 is taken where it begins as a JPEG, PNG or another picture does"
        raise RecordError(Reason.BAD_PATH, f"{shown_value(reference)} is too long to name a file: {most}; {hint}")


def _check_data(references: tuple[str, ...], max_bytes: int) -> None:
    """Check images inside the record here, so that bad ones are not stored."""
    for reference in references:
        if is_data_uri(reference):
            try:
                decode_data_uri(reference, max_bytes=max_bytes)
            except Rejected as rejected:
                raise RecordError(rejected.reason, str(rejected)) from rejected
