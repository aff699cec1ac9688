"""Open runs, to which records are added one by one, and the order in which items end.

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INSTANT = sa.DateTime(timezone=True)

# What has ended so far, in the order of the workers' clocks: nobody has followed it yet.
_ENDINGS = """
INSERT INTO endings (run_id, number, item_id, requeues)
SELECT results.run_id, ROW_NUMBER() OVER (PARTITION BY results.run_id ORDER BY results.finished_at, results.item_id),
       results.item_id, items.requeues
FROM results JOIN items ON items.id = results.item_id
"""


def upgrade() -> None:
    """Only add. Who follows a run sees nothing of what workers of the schema 0004 end beside this one."""
    if op.get_context().dialect.name == "postgresql":
        # In the order in which programs come to these tables, against deadlocks.
        op.execute("LOCK TABLE runs, items, results IN ACCESS EXCLUSIVE MODE")
    op.add_column("runs", sa.Column("open", sa.Boolean))
    op.add_column("runs", sa.Column("key_field", sa.Text))
    op.add_column("runs", sa.Column("records", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "record_keys",
        _of_run(),
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("content", sa.String(32), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "earlier_records",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("requeues", sa.Integer, nullable=False),
        sa.Column("replaced_at", _INSTANT, nullable=False),
        sa.Index(None, "run_id", "position"),
    )
    op.create_table(
        "endings",
        _of_run(),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("item_id", _KEY, nullable=False),
        sa.Column("requeues", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(_ENDINGS)


def downgrade() -> None:
    """Drop what was added."""
    for table in ("endings", "earlier_records", "record_keys"):
        op.drop_table(table)
    for column in ("records", "key_field", "open"):
        op.drop_column("runs", column)


def _of_run() -> sa.Column[int]:
    return sa.Column(
        "run_id", _KEY, sa.ForeignKey("runs.id", ondelete="CASCADE"), autoincrement=False, primary_key=True
    )
