"""Run by Alembic: migrates over the connection of `persqa.store.migrate`, or to a developer's `-x url=...`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from persqa.store.schema import metadata


def _run(connection: sa.Connection) -> None:
    # Batch mode, since SQLite can change a table only by copying it.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with sa.create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as opened:
        _run(opened)
