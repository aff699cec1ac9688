"""A PersQA that is one migration further than this one."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.store.migrate import _folders

if TYPE_CHECKING:
    from collections.abc import Generator

#: The revision it knows and this one does not, as `persqa migrate` shows it.
NEXT = "0006: A colour for each run"

_MIGRATION = '''"""A colour for each run.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"
branch_labels = depends_on = None


def upgrade():
    op.add_column("runs", sa.Column("colour", sa.Text, nullable=False, server_default="red"))
'''


@contextmanager
def next_version(folder: Path) -> Generator[None]:
    """As long as this lasts, this program is that PersQA."""
    (folder / "0006_colours.py").write_text(_MIGRATION)
    folders = [*_folders(), folder]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("persqa.store.migrate"), "_folders", lambda: folders)
        yield
