"""The tables. Views are plain SQL and live with the migration that creates them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    func,
    or_,
)

from persqa.questions import TAG_FIELD
from persqa.store.column_types import Seed, UtcDateTime

# SQLite generates keys only for columns of the type INTEGER, which has 64 bits there.
KEY = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row: the ledger's identity, which is random. Messages carry it, since several databases may use one broker.
ledger = Table("ledger", metadata, Column("id", String(16), primary_key=True))

runs = Table(
    "runs",
    metadata,
    Column("id", KEY, primary_key=True),
    # Random: in a database that was restored from a backup, another run may get the same id.
    Column("key", String(16), nullable=False),
    Column("name", String(100), nullable=False, unique=True),
    Column("options", Text, nullable=False),
    Column("pool_digest", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("base", Text, nullable=False),
    Column("items", BigInteger, nullable=False),
    # Of its records, as a JSON object.
    Column("limits", Text, nullable=False),
    Column("model", Text),
    Column("created_at", UtcDateTime, nullable=False),
    # The broker whose queues have the items; none before the first item is enqueued.
    Column("broker", String(16)),
    # Items up to this one were enqueued at least once, so a pending one that is in no queue was lost.
    Column("published_to", BigInteger, nullable=False, server_default="0"),
    # Items up to this one have results, so the search for pending items begins behind it.
    Column("ended_to", BigInteger, nullable=False, server_default="0"),
    # Whether known bad images are tried again.
    Column("recheck", Boolean, nullable=False, server_default=false()),
    # People change these two while the run is under way.
    Column("priority", String(16), nullable=False, server_default="normal"),
    Column("state", String(16), nullable=False, server_default="active"),
    # What it was made from, as a JSON list of files, folders and patterns; exports keep off them.
    Column("input", Text),
    # A run that is being deleted is cancelled, too, and cannot be taken up again.
    Column("deleting", Boolean, nullable=False, server_default=false()),
    # Why it has paused itself, and the numbers at that moment, as a JSON object.
    Column("stopped", Text),
    # Whether records may still be added; none for a data set, which is whole from the beginning.
    Column("open", Boolean),
    # The field that names the records of an open run; none where their content does.
    Column("key_field", Text),
    # How many were added.
    Column("records", BigInteger, nullable=False, server_default="0"),
    # Nobody may take the items of a run that was removed for those of a new one.
    sqlite_autoincrement=True,
)

# Runs that are deleted, or are being deleted: messages of theirs may still be on their way.
deleted_runs = Table(
    "deleted_runs",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=False),
    Column("key", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    Column("deleted_at", UtcDateTime, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=False),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("record", Text, nullable=False),
    # The references a worker gets, as a JSON list.
    Column("images", Text, nullable=False),
    Column("tag", String(40), nullable=False),
    Column("topic", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("requeues", Integer, nullable=False),
    # How often the queue lost the item and it was enqueued again.
    Column("recoveries", Integer, nullable=False, server_default="0"),
)


def _of_a_result() -> tuple[Column[Any], ...]:
    return (
        Column("status", String(16), nullable=False),
        Column("reason", String(32)),
        Column("detail", Text),
        Column("answer", Text),
        Column("rung", String(16)),
        Column("forced", Boolean, nullable=False),
        Column("finish_reason", String(16)),
        Column("generations", Integer, nullable=False),
        Column("prompt_tokens", Integer),
        Column("output_tokens", Integer),
        Column("image_seconds", Float),
        Column("engine_seconds", Float),
        Column("worker", Text),
        Column("model", Text),
        Column("finished_at", UtcDateTime, nullable=False),
        Column("logprob_mean", Float),
        Column("logprob_min", Float),
        Column("logprob_min_token", Text),
    )


results = Table(
    "results",
    metadata,
    Column("item_id", KEY, ForeignKey("items.id"), primary_key=True, autoincrement=False),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    *_of_a_result(),
    Index(None, "run_id", "status"),
    Index(None, "run_id", "finished_at"),
)

# Results that a requeue has taken back, as they were.
earlier_results = Table(
    "earlier_results",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("item_id", KEY, ForeignKey("items.id"), nullable=False, index=True),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    *_of_a_result(),
    # How often the item had been requeued before.
    Column("requeues", Integer, nullable=False),
    Column("taken_back_at", UtcDateTime, nullable=False),
    # As a JSON list of objects; none where there were none.
    Column("flags", Text),
)

violations = Table(
    "violations",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("item_id", KEY, ForeignKey("items.id"), nullable=False, index=True),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    Column("rung", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("finish_reason", String(16), nullable=False),
    Column("seed", Seed, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "run_id", "kind"),
)


def _of_a_review() -> tuple[Column[Any], ...]:
    return (
        Column("decision", String(16)),
        # The one that a person wrote instead of the model's.
        Column("answer", Text),
        Column("starred", Boolean, nullable=False),
        Column("note", Text, nullable=False),
        Column("reviewer", Text, nullable=False),
        Column("reviewed_at", UtcDateTime, nullable=False),
        # What all rows have in common that a person changed at once.
        Column("action", String(32), nullable=False),
    )


# What people say of results. A review goes with its result, whoever takes that away: it is of no other answer.
reviews = Table(
    "reviews",
    metadata,
    Column("item_id", KEY, ForeignKey("results.item_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    *_of_a_review(),
    Index(None, "run_id", "reviewed_at"),
    Index(None, "action", "item_id"),
)

# Reviews that were changed or undone, or whose results were taken back, as they were.
earlier_reviews = Table(
    "earlier_reviews",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("item_id", KEY, ForeignKey("items.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    *_of_a_review(),
    Column("replaced_at", UtcDateTime, nullable=False),
    # The action that changed it; none where it was undone, or its result was taken back.
    Column("replaced_by", String(32)),
    # Who looks for what is new looks behind the last id it has seen, so none is given twice.
    sqlite_autoincrement=True,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("queue", Text),
    Column("task_id", Text),
    Column("item_id", BigInteger),
    Column("text", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Contents that no decoder accepts; shared by all runs.
bad_images = Table(
    "bad_images",
    metadata,
    # SHA-256 of the bytes, as hexadecimal digits.
    Column("digest", String(64), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
)

# Progress is read from here, so its cost does not grow with the run. Every transaction that adds or removes rows
# changes these sums; `submitted` counts the rows of `items`.
run_counters = Table(
    "run_counters",
    metadata,
    Column("run_id", KEY, ForeignKey("runs.id"), primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("items", BigInteger, nullable=False),
)

#: Every item with its result, if any; and the condition for items without one.
items_and_results = items.outerjoin(results, results.c.item_id == items.c.id)
has_no_result = results.c.item_id.is_(None)


#: The words of an item's question as they stand in its pool; a record's own prompt stays as it is.
template = func.replace(items.c.question, items.c.tag, TAG_FIELD)


def asks(question: str) -> ColumnElement[bool]:
    """The condition for items with this topic, or with these words in their question, as asked or as in its pool."""
    said = (written.contains(question, autoescape=True) for written in (items.c.question, template))
    return or_(items.c.topic == question, *said)
