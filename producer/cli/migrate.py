"""`persqa migrate`: brings the tables of the database up to date."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from persqa.settings import load_settings
from persqa.store.database import Database
from persqa.store.migrate import Schema
from persqa.store.opening import bring_up_to_date, look_at_schema
from persqa.urls import without_password
from producer.cli import options
from producer.cli.printing import plain, print_json, say


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 says that something is to be done.")
    ] = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Bring the tables of the database up to date.

    Every worker, and every command that writes, does this by itself where its role may. Where only the owner of the
    tables may, run this as the owner, once, before programs of a new version start. Safe to repeat, and to run while
    the old ones work.

    Examples:
        persqa migrate --check
        persqa migrate --database-url postgresql://persqa_owner@localhost/persqa
    """
    settings = load_settings(database_url=database_url)
    if check:
        schema = look_at_schema(settings.database_url)
    else:
        with closing(Database(settings.database_url)) as database:
            schema = bring_up_to_date(database)
    if as_json:
        print_json({"found": schema.found, "known": schema.head, "applied" if not check else "missing": schema.missing})
    else:
        _print(schema, without_password(settings.database_url), check=check)
    if check and schema.missing:
        raise typer.Exit(1)


def _print(schema: Schema, url: str, *, check: bool) -> None:
    if not schema.missing:
        say(f"{plain(url)} is up to date: schema {schema.found}")
        return
    done = "lacks" if check else "had schema " + (schema.found or "none") + ", applied"
    say(f"{plain(url)} {done}:")
    for revision in schema.missing:
        say(f"  {plain(revision)}")
