"""Exporters write records back in the shape they came in; one file per format, chosen by suffix."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from persqa.errors import InputError
from persqa.prompts import human_turn, rewrite_conversation
from persqa.tags import Tag
from producer.exporters.comma_separated import CsvExporter
from producer.exporters.json_text import JsonArrayExporter, JsonLinesExporter
from producer.exporters.parquet import ParquetExporter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from persqa.store.queries import PairRow
    from producer.exporters.base import Exporter

__all__ = ["export", "exported_record"]

_BY_SUFFIX: dict[str, type[Exporter]] = {
    ".json": JsonArrayExporter,
    ".jsonl": JsonLinesExporter,
    ".ndjson": JsonLinesExporter,
    ".csv": CsvExporter,
    ".parquet": ParquetExporter,
}


def export(rows: Iterable[PairRow], path: Path, *, output_key: str) -> int:
    """Write the rows; the file appears under its name when it is whole.

    Raises:
        InputError: the suffix is unknown, or the file cannot be written.
    """
    exporter = _BY_SUFFIX.get(path.suffix.lower())
    if exporter is None:
        raise InputError(f"{path}: the format is chosen by suffix, use one of {', '.join(_BY_SUFFIX)}")
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        number = exporter(draft).write(exported_record(row, output_key) for row in rows)
        draft.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return number


def exported_record(row: PairRow, output_key: str) -> dict[str, JsonValue]:
    """The record as given, with the prompt in its conversation and the answer under `output_key`.

    What was no object in the input stands under `record`, so that no line of the input is missing in the output.

    Raises:
        InputError: the record has a field of that name itself.
    """
    given = cast("JsonValue", json.loads(row.record))
    if not isinstance(given, dict):
        return {"record": given, output_key: None}
    if output_key in given:
        raise InputError(f"record {row.position + 1} has a field {output_key!r} itself: choose another --output-key")
    if not row.question:
        return {**given, output_key: None}
    conversation = cast("list[JsonValue] | None", given.get("conversation"))
    prompt = human_turn(Tag(row.tag), row.question)
    return {**given, "conversation": rewrite_conversation(conversation, prompt), output_key: row.answer}
