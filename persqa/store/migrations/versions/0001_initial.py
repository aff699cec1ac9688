"""The tables, and the views for people.

Revision: 0001
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
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
CREATE VIEW pairs AS
SELECT runs.name AS run, items.id AS item_id, items.position, items.slot, items.record,
       COALESCE(({image}), '') AS image,
       items.tag, items.topic, items.question, results.answer, COALESCE(results.status, 'pending') AS status,
       results.reason, results.detail, results.rung, results.forced, results.model
FROM items
JOIN runs ON runs.id = items.run_id
LEFT JOIN results ON results.item_id = items.id
"""

_RUN_PROGRESS = """
CREATE VIEW run_progress AS
SELECT run, submitted, ok, noncompliant, invalid, dead,
       submitted - ok - noncompliant - invalid - dead AS pending, created_at
FROM (
    SELECT runs.name AS run, runs.created_at,
           COALESCE(SUM(CASE WHEN status = 'submitted' THEN run_counters.items END), 0) AS submitted,
           COALESCE(SUM(CASE WHEN status = 'ok' THEN run_counters.items END), 0) AS ok,
           COALESCE(SUM(CASE WHEN status = 'noncompliant' THEN run_counters.items END), 0) AS noncompliant,
           COALESCE(SUM(CASE WHEN status = 'invalid' THEN run_counters.items END), 0) AS invalid,
           COALESCE(SUM(CASE WHEN status = 'dead' THEN run_counters.items END), 0) AS dead
    FROM runs LEFT JOIN run_counters ON run_counters.run_id = runs.id
    GROUP BY runs.id, runs.name, runs.created_at
) AS sums
"""

# One row a kind, among them `compliant`, and `forced` where the tag was prefilled, which says nothing about the model.
# `share` is the part of all generations for the same topic.
_COMPLIANCE = """
CREATE VIEW compliance AS
SELECT run, model, topic AS question, kind, generations,
       1.0 * generations / SUM(generations) OVER (PARTITION BY run, model, topic) AS share
FROM (
    SELECT runs.name AS run, judged.model, items.topic, judged.kind, COUNT(*) AS generations
    FROM (
        SELECT item_id, model, CASE WHEN forced THEN 'forced' ELSE 'compliant' END AS kind
        FROM results WHERE status = 'ok'
        UNION ALL
        SELECT item_id, model, kind FROM violations
    ) AS judged
    JOIN items ON items.id = judged.item_id
    JOIN runs ON runs.id = items.run_id
    GROUP BY runs.name, judged.model, items.topic, judged.kind
) AS counted
"""


def upgrade() -> None:
    """Create everything; keys and indexes get their names from the naming convention of `persqa.store.schema`."""
    _create_work()
    _create_results()
    _create_violations()
    _create_notes()
    for view in (_PAIRS.format(image=_IMAGE[op.get_context().dialect.name]), _RUN_PROGRESS, _COMPLIANCE):
        op.execute(view)


def downgrade() -> None:
    """Drop everything."""
    for view in ("compliance", "run_progress", "pairs"):
        op.execute(f"DROP VIEW {view}")
    for table in ("bad_images", "dead_letters", "run_counters", "violations", "results", "items", "runs", "ledger"):
        op.drop_table(table)


def _create_work() -> None:
    ledger = op.create_table("ledger", sa.Column("id", sa.String(16), primary_key=True))
    op.bulk_insert(ledger, [{"id": secrets.token_hex(8)}])
    op.create_table(
        "runs",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("pool_digest", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("broker", sa.String(16)),
        sa.Column("published_to", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_to", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("recheck", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("priority", sa.String(16), nullable=False, server_default="normal"),
        sa.Column("state", sa.String(16), nullable=False, server_default="active"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "items",
        sa.Column("id", _KEY, autoincrement=False, primary_key=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("images", sa.Text, nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("requeues", sa.Integer, nullable=False),
        sa.Column("recoveries", sa.Integer, nullable=False, server_default="0"),
    )


def _create_results() -> None:
    op.create_table(
        "results",
        sa.Column("item_id", _KEY, sa.ForeignKey("items.id"), autoincrement=False, primary_key=True),
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
        sa.Index(None, "run_id", "status"),
        sa.Index(None, "run_id", "finished_at"),
    )


def _create_violations() -> None:
    op.create_table(
        "violations",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("item_id", _KEY, sa.ForeignKey("items.id"), nullable=False, index=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("rung", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("finish_reason", sa.String(16), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Index(None, "run_id", "kind"),
    )


def _create_notes() -> None:
    op.create_table(
        "run_counters",
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id"), autoincrement=False, primary_key=True),
        sa.Column("status", sa.String(16), primary_key=True),
        sa.Column("items", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("queue", sa.Text),
        sa.Column("task_id", sa.Text),
        sa.Column("item_id", sa.BigInteger),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "bad_images",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("first_seen", _INSTANT, nullable=False),
    )
