"""The tables of evidence: flags and their counts, hashes of pictures, spot checks, and what answered each run."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from persqa.store.schema import KEY, UtcDateTime, metadata

# A flag goes with its result, whoever takes that away.
flags = Table(
    "flags",
    metadata,
    Column("item_id", KEY, ForeignKey("results.item_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    Column("flag", String(20), primary_key=True),
    Column("score", Float, nullable=False),
    # Where in the answer, in characters; none where it is about the picture.
    Column("start", Integer),
    Column("end", Integer),
    Index(None, "run_id", "flag"),
)

# How many items of a run have each flag, changed in the same transaction as the rows they count.
flag_counters = Table(
    "flag_counters",
    metadata,
    Column("run_id", KEY, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("flag", String(20), primary_key=True),
    Column("items", BigInteger, nullable=False),
)

# The perceptual hash of the first picture of each item that was answered, of 64 bits with a sign.
picture_hashes = Table(
    "picture_hashes",
    metadata,
    Column("item_id", KEY, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    Column("hash", BigInteger, nullable=False),
    Index(None, "run_id", "hash", "item_id"),
)

# The same question asked otherwise, for some items: stored beside the results, never among them.
spot_checks = Table(
    "spot_checks",
    metadata,
    Column("item_id", KEY, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # `blind`, `swapped` or `again`.
    Column("check_name", String(10), primary_key=True),
    Column("run_id", KEY, ForeignKey("runs.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("answer", Text),
    Column("seed", BigInteger, nullable=False),
    # As a JSON list of objects.
    Column("flags", Text, nullable=False),
    Column("model", Text),
    Column("output_tokens", Integer),
    Column("engine_seconds", Float),
    Column("finished_at", UtcDateTime, nullable=False),
    Index(None, "run_id", "check_name"),
)

# What has answered a run: each model, with its files, and each engine that workers brought.
provenances = Table(
    "provenances",
    metadata,
    Column("run_id", KEY, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("files", String(64), primary_key=True),
    Column("revision", String(64), primary_key=True),
    Column("engine", String(100), primary_key=True),
    Column("version", String(40), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)
