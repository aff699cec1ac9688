"""`persqa demo-data`: portraits to try the system with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from persqa.words import counted
from producer.cli.printing import notes, plain, say


def command(
    count: Annotated[int, typer.Argument(metavar="N", min=1, max=999_999, help="How many portraits.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it does not exist.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other people.")] = 0,
) -> None:
    """Draw portraits of people who do not exist, with records to ask about them and the truth beside them.

    The model that ships with PersQA knows such portraits. Each line of truth.jsonl has an image, its attributes
    and the right answer to every question of the human pool.

    Example: persqa demo-data 300 people && persqa run people/portraits.jsonl
    """
    # Imported here: no other command draws.
    from producer.demo.data import RECORDS_FILE, TRUTH_FILE, write_demo_data

    drawn = write_demo_data(count, folder, seed=seed)
    for _ in track(drawn, "drawing", total=count, console=notes, transient=True):
        pass
    records = plain(str(folder / RECORDS_FILE))
    drawn_now = f"{counted(count, 'portrait')} in {records}"
    say(f"{drawn_now}, and the truth about {'it' if count == 1 else 'them'} in {plain(str(folder / TRUTH_FILE))}")
    say(f"ask about {'it' if count == 1 else 'them'}: persqa run {records}")
