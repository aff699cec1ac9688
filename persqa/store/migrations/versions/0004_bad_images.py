"""Images that are known to be broken, runs that try them again, and what is sent in place of image bytes.

Revision: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and two columns."""
    op.create_table(
        "bad_images",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_bad_images"),
    )
    op.add_column("runs", sa.Column("recheck", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("items", sa.Column("images_sent", sa.Text))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("items", "images_sent")
    op.drop_column("runs", "recheck")
    op.drop_table("bad_images")
