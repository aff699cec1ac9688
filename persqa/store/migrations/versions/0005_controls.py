"""Priorities and states of runs, and how old a program may be.

A fleet is upgraded while it works, so programs of two versions meet one database. Each migration is one of two kinds:

- Expand: adds what older programs need not know: a table, an index, a column that is null or has a server default. It
  leaves `schema_info` alone. Run it first; then replace the programs one by one, in any order.
- Contract: takes away or changes what older programs use. It comes a release after the expansion that made it possible,
  and sets `schema_info.oldest` to the first revision whose programs do without. Run it when no older program is left:
  those that are refuse to start, and those that run fail.

A program that finds a revision it does not know works on if it knows `oldest`, and refuses otherwise. The programs of
0004 and before refuse always: they know nothing of this table. Those that are running go on, and treat every run as one
of normal priority that is active.

Revisions are compared as text, so they have four digits each.

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns and a table of one row."""
    op.add_column("runs", sa.Column("priority", sa.String(16), nullable=False, server_default="normal"))
    op.add_column("runs", sa.Column("state", sa.String(16), nullable=False, server_default="active"))
    info = op.create_table(
        "schema_info",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("oldest", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schema_info"),
        sa.CheckConstraint("id = 1", name="ck_schema_info_one_row"),
    )
    op.bulk_insert(info, [{"id": 1, "oldest": revision}])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("schema_info")
    op.drop_column("runs", "state")
    op.drop_column("runs", "priority")
