"""`persqa export`: a run as a file, or as a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.words import counted
from producer.choosing import part_file
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.export_flags import Shape
from producer.cli.exported import Exported, unanswered, why_none
from producer.cli.printing import plain, print_json, say
from producer.exporters import HUGGING_FACE, choose_format
from producer.exporters.paths import Paths, folder_beside

if TYPE_CHECKING:
    from producer import RunHandle

#: From here on a mail may be refused by its size, in bytes; a mail is a third larger than what it carries.
_LARGE_MAIL = 15 * 10**6


@expanded
def command(
    run: options.Run,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".json, .jsonl, .csv (also .gz, .zst), .parquet, or a folder.")
    ],
    *,
    shape: Shape,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Write a run's records, with prompts and answers, to a file.

    Every record of the input is there, in the input's order and shape; the answer is null where there is none. The
    file appears when it is whole, and replaces nothing unless --overwrite says so. With --gallery it is a page to send:
    some items with their pictures, and figures of all of them, in one file that any browser opens.

    Examples:
        persqa export portraits pairs.jsonl --only ok --output-key pers_qa
        persqa export portraits good.jsonl --without-flag refusal,hedge
        persqa export portraits dialogues.json --chat
        persqa export portraits dialogues.parquet --chat trl
        persqa export portraits page.html --gallery --sample 500
    """
    with where.client() as client:
        handle = client.run(run)
        told = Exported(reviewed=shape.reviewed is not None)
        on = {"on_left": told.count, "on_part": told.parts.__setitem__, "on_row": told.see}
        number = handle.export(file, **on, **asdict(shape))
        if shape.gallery:
            _report_page(handle, file, number, as_json=as_json)
            return
        if as_json:
            print_json({"run": handle.name, "file": str(file), "rows": number, **_parts(told), **told.counts(shape)})
            return
        copies = (shape.paths == Paths.COPY or shape.chat is not None) and folder_beside(file).exists()
        where_copies = f", copies of images to {folder_beside(file)}" if copies else ""
        lack = unanswered(told, shape) if number else f": {why_none(handle, shape)}"
        say(f"{counted(number, 'row')} written{_where(told, file, shape)}{plain(where_copies)}{plain(lack)}")
        told.report(shape)
        if pending := handle.progress().pending:
            say(f"[yellow]{counted(pending, 'item of the run has', 'items of the run have')} no answer yet[/]")


def _parts(told: Exported) -> dict[str, object]:
    return {"parts": told.parts} if told.parts else {}


def _where(told: Exported, file: Path, shape: Shape) -> str:
    """As in ` to pairs.jsonl`; with parts, as in `: 90 to pairs-train.jsonl, 10 to pairs-test.jsonl`."""
    if not told.parts:
        return f" to {plain(file)}"
    if choose_format(file, shape.file_format) == HUGGING_FACE:
        return f" to {plain(file)}: {', '.join(f'{number} in {plain(name)}' for name, number in told.parts.items())}"
    files = (f"{number} to {plain(part_file(file, name))}" for name, number in told.parts.items())
    return f": {', '.join(files)}"


def _report_page(handle: RunHandle, file: Path, number: int, *, as_json: bool) -> None:
    size = file.stat().st_size
    if as_json:
        print_json({"run": handle.name, "file": str(file), "rows": number, "bytes": size})
        return
    whole = counted(handle.progress().submitted, "item")
    say(f"{number} of {whole}, {size / 10**6:.1f} MB, written to {plain(file)}: any browser opens it")
    if size > _LARGE_MAIL:
        say("[yellow]that may be too large for a mail: a smaller --sample makes it smaller[/]")
