"""Flags, hashes of pictures, spot checks, log-probabilities, what answered a run, and why one has stopped itself.

Revision: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INSTANT = sa.DateTime(timezone=True)

# The references, joined by commas, for people; and the flags.
_IMAGE = {
    "sqlite": "SELECT group_concat(value, ', ') FROM json_each(items.images)",
    "postgresql": (
        "SELECT string_agg(value, ', ' ORDER BY place) "
        "FROM json_array_elements_text(items.images::json) WITH ORDINALITY AS found (value, place)"
    ),
}
_FLAGS = {
    "sqlite": (
        "SELECT group_concat(flag, ',') FROM (SELECT flag FROM flags WHERE flags.item_id = items.id ORDER BY flag)"
    ),
    "postgresql": "SELECT string_agg(flag, ',' ORDER BY flag) FROM flags WHERE flags.item_id = items.id",
}
_PAIRS = """
CREATE {or_replace} VIEW pairs AS
SELECT runs.name AS run, items.id AS item_id, items.position, items.slot, items.record,
       COALESCE(({image}), '') AS image,
       items.tag, items.topic, items.question, results.answer, COALESCE(results.status, 'pending') AS status,
       results.reason, results.detail, results.rung, results.forced, results.model,
       reviews.decision AS review, reviews.answer AS edited_answer, COALESCE(reviews.starred, FALSE) AS starred,
       COALESCE(reviews.note, '') AS note, reviews.reviewer{columns}
FROM items
JOIN runs ON runs.id = items.run_id
LEFT JOIN results ON results.item_id = items.id
LEFT JOIN reviews ON reviews.item_id = items.id
"""
_COLUMNS = """,
       COALESCE(({flags}), '') AS flags, results.logprob_mean, results.logprob_min, results.logprob_min_token"""

_LOGPROBS = (("logprob_mean", sa.Float), ("logprob_min", sa.Float), ("logprob_min_token", sa.Text))


def upgrade() -> None:
    """Only add: programs of the schema 0003 go on beside this one.

    What these delete or take back loses its flags by the foreign keys, and the view has new columns behind its old
    ones.
    """
    if _dialect() == "postgresql":
        # In the order in which programs come to these tables, against deadlocks.
        op.execute("LOCK TABLE runs, items, results, earlier_results IN ACCESS EXCLUSIVE MODE")
    op.add_column("runs", sa.Column("stopped", sa.Text))
    for table in ("results", "earlier_results"):
        for name, kind in _LOGPROBS:
            op.add_column(table, sa.Column(name, kind))
    op.add_column("earlier_results", sa.Column("flags", sa.Text))
    _create_flags()
    _create_spot_checks()
    _create_provenances()
    _make_pairs(_COLUMNS.format(flags=_FLAGS[_dialect()]))


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DROP VIEW pairs")
    _make_pairs("")
    for table in ("provenances", "spot_checks", "picture_hashes", "flag_counters", "flags"):
        op.drop_table(table)
    op.drop_column("earlier_results", "flags")
    for table in ("earlier_results", "results"):
        for name, _ in _LOGPROBS:
            op.drop_column(table, name)
    op.drop_column("runs", "stopped")


def _create_flags() -> None:
    op.create_table(
        "flags",
        sa.Column(
            "item_id",
            _KEY,
            sa.ForeignKey("results.item_id", ondelete="CASCADE"),
            autoincrement=False,
            primary_key=True,
        ),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("flag", sa.String(20), primary_key=True),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("start", sa.Integer),
        sa.Column("end", sa.Integer),
        sa.Index(None, "run_id", "flag"),
    )
    op.create_table(
        "flag_counters",
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id", ondelete="CASCADE"), autoincrement=False, primary_key=True),
        sa.Column("flag", sa.String(20), primary_key=True),
        sa.Column("items", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "picture_hashes",
        sa.Column(
            "item_id", _KEY, sa.ForeignKey("items.id", ondelete="CASCADE"), autoincrement=False, primary_key=True
        ),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("hash", sa.BigInteger, nullable=False),
        sa.Index(None, "run_id", "hash", "item_id"),
    )


def _create_spot_checks() -> None:
    op.create_table(
        "spot_checks",
        sa.Column(
            "item_id", _KEY, sa.ForeignKey("items.id", ondelete="CASCADE"), autoincrement=False, primary_key=True
        ),
        sa.Column("check_name", sa.String(10), primary_key=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("answer", sa.Text),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("flags", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("engine_seconds", sa.Float),
        sa.Column("finished_at", _INSTANT, nullable=False),
        sa.Index(None, "run_id", "check_name"),
    )


def _create_provenances() -> None:
    run_id = sa.Column(
        "run_id", _KEY, sa.ForeignKey("runs.id", ondelete="CASCADE"), autoincrement=False, primary_key=True
    )
    op.create_table(
        "provenances",
        run_id,
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("files", sa.String(64), primary_key=True),
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("engine", sa.String(100), primary_key=True),
        sa.Column("version", sa.String(40), primary_key=True),
        sa.Column("since", _INSTANT, nullable=False),
    )


def _make_pairs(columns: str) -> None:
    """Make the view anew; PostgreSQL replaces it where it is, with the rights to it and the views that build on it."""
    replaces = _dialect() == "postgresql"
    if not replaces:
        op.execute("DROP VIEW IF EXISTS pairs")
    op.execute(_PAIRS.format(or_replace="OR REPLACE" if replaces else "", image=_IMAGE[_dialect()], columns=columns))


def _dialect() -> str:
    return op.get_context().dialect.name
