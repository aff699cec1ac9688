"""Write docs/settings.md from the settings themselves."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic_core import PydanticUndefined

from persqa.settings import Settings

_HEAD = """# Settings

What a machine or a deployment decides. A command's flag overrides the environment, the environment overrides a file
`.env` in the working directory, and that a file in `/run/secrets` with the variable's name in lower case, such as
`/run/secrets/persqa_broker_password`. Written by `make docs`.

The folder one stands in may be somebody's data, and a `.env` may have come with it. So what decides which code runs
(`PERSQA_ENGINE`, `PERSQA_ENGINE_ARGS`, `PERSQA_MODEL`) is not taken from there: where it would count, every command
ends with exit code 2 and says so. Python modules in that folder are not imported either, and entries of `PYTHONPATH`
that are empty or relative do not reach workers. A folder with an engine of your own is named in full:
`PYTHONPATH=/opt/engines`. What a `.env` may still say is which broker and database are used, so think before you start
anything in a folder with a `.env` that you have not read.

A variable `PERSQA_...` that is none of these is refused, in the environment and in `.env`, with the one that was
probably meant: `PERSQA_WINDW=3` would otherwise be a window of 256. Those of `docker-compose.yml` are left alone, and
those with which Kubernetes tells of services. What is wrong with a setting is said of the option, keyword, variable or
file that it was given by.

| variable | default | meaning |
|---|---|---|
"""


def main() -> None:
    """Write the file."""
    rows: list[str] = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "" if default in (None, PydanticUndefined) else f"`{json.dumps(default)}`"
        rows.append(f"| `PERSQA_{name.upper()}` | {shown} | {field.description} |\n")
    (Path(__file__).parents[1] / "docs" / "settings.md").write_text(_HEAD + "".join(rows))


main()
