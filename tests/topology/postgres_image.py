"""What the image `postgres` does before its server serves, for the server of a wheel.

A new data folder is set up with the superuser that the environment names; the scripts that are mounted run against a
server that only its own host reaches, over a Unix socket; then this process becomes the server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SCRIPTS = Path("/docker-entrypoint-initdb.d")
_DEFAULTS = {"POSTGRES_USER": "postgres"}
_SOCKETS = "/var/run/postgresql"


def main(command: list[str]) -> None:
    """Set up what is new, then become the server."""
    data = Path(os.environ["PGDATA"])
    if not (data / "PG_VERSION").exists():
        _set_up(data)
        _run_scripts(data)
    os.environ.pop("POSTGRES_PASSWORD", None)
    os.execvp(command[0], [*command, "-c", f"unix_socket_directories={_SOCKETS}"])


def _set_up(data: Path) -> None:
    data.mkdir(parents=True, mode=0o700)
    password = Path.home() / "password"
    password.write_text(_given("POSTGRES_PASSWORD"))
    options = os.environ.get("POSTGRES_INITDB_ARGS", "").split()
    subprocess.run(
        # The wheel brings no ICU and the machine no locales; syncing is for what is to be kept.
        ["initdb", f"--username={_given('POSTGRES_USER')}", f"--pwfile={password}", "--no-sync", "--no-locale",
         "--encoding=UTF8", f"--pgdata={data}", *options],
        check=True,
    )  # fmt: skip
    password.unlink()
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("\nhost all all all scram-sha-256\n")
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write("\nlisten_addresses = '*'\n")


def _run_scripts(data: Path) -> None:
    alone = f"-c listen_addresses='' -c unix_socket_directories={_SOCKETS}"
    subprocess.run(["pg_ctl", f"--pgdata={data}", f"--options={alone}", "--wait", "start"], check=True)
    user, database = _given("POSTGRES_USER"), os.environ.get("POSTGRES_DB") or _given("POSTGRES_USER")
    psql = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--host={_SOCKETS}", f"--username={user}"]
    if database != "postgres":
        subprocess.run([*psql, "--dbname=postgres", f'--command=CREATE DATABASE "{database}"'], check=True)
    inside = {**os.environ, "PGHOST": _SOCKETS, "PGUSER": user, "PGDATABASE": database}
    for script in sorted(_SCRIPTS.iterdir()) if _SCRIPTS.is_dir() else []:
        match script.suffix:
            case ".sql":
                subprocess.run([*psql, f"--dbname={database}", f"--file={script}"], check=True)
            case ".sh":
                subprocess.run([script] if os.access(script, os.X_OK) else ["sh", script], check=True, env=inside)
            case _:
                sys.stderr.write(f"ignoring {script}\n")
    subprocess.run(["pg_ctl", f"--pgdata={data}", "--mode=fast", "--wait", "stop"], check=True)


def _given(name: str) -> str:
    """A variable, or what is in the file that `NAME_FILE` names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().rstrip("\n") if file else os.environ.get(name) or _DEFAULTS[name]


if __name__ == "__main__":
    main(sys.argv[1:])
