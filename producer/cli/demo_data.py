"""`persqa demo-data`: portraits to try the system with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from persqa.words import counted
from producer.cli.numbers import whole
from producer.cli.printing import notes, plain, say


def command(
    count: Annotated[int, typer.Argument(metavar="N", parser=whole("N", 1, 999_999), help="How many.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write to; it is made if it does not exist.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", parser=whole("--seed"), help="Another seed draws other people.")
    ] = 0,
) -> None:
    """Draw portraits of people who do not exist, to try PersQA with.

    The model that ships with PersQA knows such portraits. The records to ask about are in DIR, in a file named like
    it; each line of DIR/truth.jsonl has an image, its attributes and the right answer to every question of the pool
    `human`.

    Examples:
        persqa demo-data 300 faces
        persqa demo-data 12 others --seed 7
    """
    # Imported here: no other command draws.
    from producer.demo.data import TRUTH_FILE, records_file, write_demo_data

    drawn = write_demo_data(count, folder, seed=seed)
    for _ in track(drawn, "drawing", total=count, console=notes, transient=True):
        pass
    records = plain(records_file(folder))
    drawn_now = f"{counted(count, 'portrait')} in {records}"
    say(f"{drawn_now}, and the truth about {'it' if count == 1 else 'them'} in {plain(str(folder / TRUTH_FILE))}")
    say(f"ask about {'it' if count == 1 else 'them'}: persqa run {plain(shlex.quote(str(records_file(folder))))}")
