"""Earlier results, deleted runs, and where a run's records came from.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Only add: programs of the schema 0001 go on beside this one."""
    op.add_column("runs", sa.Column("input", sa.Text))
    op.add_column("runs", sa.Column("deleting", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "deleted_runs",
        sa.Column("id", _KEY, autoincrement=False, primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("deleted_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "earlier_results",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("item_id", _KEY, sa.ForeignKey("items.id"), nullable=False, index=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("rung", sa.String(16)),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("finish_reason", sa.String(16)),
        sa.Column("generations", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("image_seconds", sa.Float),
        sa.Column("engine_seconds", sa.Float),
        sa.Column("worker", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("finished_at", _INSTANT, nullable=False),
        sa.Column("requeues", sa.Integer, nullable=False),
        sa.Column("taken_back_at", _INSTANT, nullable=False),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("earlier_results")
    op.drop_table("deleted_runs")
    op.drop_column("runs", "deleting")
    op.drop_column("runs", "input")
