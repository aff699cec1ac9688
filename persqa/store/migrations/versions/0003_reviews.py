"""What people say of results.

Revision: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INSTANT = sa.DateTime(timezone=True)

# The references, joined by commas, for people.
_IMAGE = {
    "sqlite": "SELECT group_concat(value, ', ') FROM json_each(items.images)",
    "postgresql": (
        "SELECT string_agg(value, ', ' ORDER BY place) "
        "FROM json_array_elements_text(items.images::json) WITH ORDINALITY AS found (value, place)"
    ),
}
_PAIRS = """
CREATE {or_replace} VIEW pairs AS
SELECT runs.name AS run, items.id AS item_id, items.position, items.slot, items.record,
       COALESCE(({image}), '') AS image,
       items.tag, items.topic, items.question, results.answer, COALESCE(results.status, 'pending') AS status,
       results.reason, results.detail, results.rung, results.forced, results.model{columns}
FROM items
JOIN runs ON runs.id = items.run_id
LEFT JOIN results ON results.item_id = items.id{join}
"""
_COLUMNS = """,
       reviews.decision AS review, reviews.answer AS edited_answer, COALESCE(reviews.starred, FALSE) AS starred,
       COALESCE(reviews.note, '') AS note, reviews.reviewer"""
_JOIN = """
LEFT JOIN reviews ON reviews.item_id = items.id"""


def upgrade() -> None:
    """Only add: programs of the schema 0002 go on beside this one.

    What these delete or take back loses its reviews by the foreign keys, and the view has new columns behind its old
    ones.
    """
    if _dialect() == "postgresql":
        # In the order in which programs come to these tables, against deadlocks.
        op.execute("LOCK TABLE runs, items, results IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "reviews",
        sa.Column(
            "item_id",
            _KEY,
            sa.ForeignKey("results.item_id", ondelete="CASCADE"),
            autoincrement=False,
            primary_key=True,
        ),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("decision", sa.String(16)),
        sa.Column("answer", sa.Text),
        sa.Column("starred", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("reviewed_at", _INSTANT, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Index(None, "run_id", "reviewed_at"),
        sa.Index(None, "action", "item_id"),
    )
    op.create_table(
        "earlier_reviews",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("item_id", _KEY, sa.ForeignKey("items.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("decision", sa.String(16)),
        sa.Column("answer", sa.Text),
        sa.Column("starred", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("reviewed_at", _INSTANT, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("replaced_at", _INSTANT, nullable=False),
        sa.Column("replaced_by", sa.String(32)),
        sqlite_autoincrement=True,
    )
    _make_pairs(_COLUMNS, _JOIN)


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DROP VIEW pairs")
    _make_pairs("", "")
    op.drop_table("earlier_reviews")
    op.drop_table("reviews")


def _make_pairs(columns: str, join: str) -> None:
    """Make the view anew; PostgreSQL replaces it where it is, with the rights to it and the views that build on it."""
    replaces = _dialect() == "postgresql"
    if not replaces:
        op.execute("DROP VIEW IF EXISTS pairs")
    op.execute(
        _PAIRS.format(or_replace="OR REPLACE" if replaces else "", image=_IMAGE[_dialect()], columns=columns, join=join)
    )


def _dialect() -> str:
    return op.get_context().dialect.name
