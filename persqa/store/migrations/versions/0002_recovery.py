"""What recovery needs: how far a run was published, how often an item was enqueued again, and dead letters.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns and a table."""
    key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column("runs", sa.Column("published_to", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("items", sa.Column("recoveries", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "dead_letters",
        sa.Column("id", key, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("queue", sa.Text),
        sa.Column("task_id", sa.Text),
        sa.Column("item_id", sa.BigInteger),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("dead_letters")
    op.drop_column("items", "recoveries")
    op.drop_column("runs", "published_to")
