"""Runs as rows of the table, and whether two of one name are the same run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from persqa.errors import RunConflict
from persqa.records import RecordLimits
from persqa.runs import Priority, Run, RunId, RunOptions, RunState
from persqa.stop_rules import Stopped
from persqa.words import option

if TYPE_CHECKING:
    import sqlalchemy as sa


def run_of(row: sa.Row[*tuple[Any, ...]]) -> Run:
    """The run of a row."""
    return Run(
        id=RunId(row.id),
        name=row.name,
        options=RunOptions.model_validate_json(row.options),
        pool_digest=row.pool_digest,
        fingerprint=row.fingerprint,
        base=row.base,
        items=row.items,
        created_at=row.created_at,
        key=row.key,
        broker=row.broker,
        published_to=row.published_to,
        limits=RecordLimits(**json.loads(row.limits)),
        recheck=row.recheck,
        priority=Priority(row.priority),
        state=RunState(row.state),
        deleting=row.deleting,
        stop=Stopped.stored(row.stopped).stop,
        open=row.open,
        key_field=row.key_field,
    )


def refuse_conflict(run: Run, *, options: RunOptions, pool_digest: str, fingerprint: str) -> None:
    """Raise RunConflict, which names the differences, if the run was made of other data or options."""
    other = [name for name in RunOptions.model_fields if getattr(run.options, name) != getattr(options, name)]
    if run.pool_digest != pool_digest and "pool" not in other:
        other.append("the questions of the pool")
    if run.fingerprint != fingerprint:
        other.insert(0, "the data")
    if other:
        message = f"the run {run.name!r} exists and differs in: {', '.join(other)}"
        if run.grows:
            raise RunConflict(f"{message}; leave that out, as the run has it already, or choose another name")
        raise RunConflict(f"{message}; choose another name with {option('run')}, or submit what it was created with")
