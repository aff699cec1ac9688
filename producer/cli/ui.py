"""`persqa ui`: the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from persqa.errors import NoDatabase, SettingsError
from persqa.libraries import not_installed
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.cli.printing import notes, plain, say

if TYPE_CHECKING:
    from producer import Client
    from producer.web.server import Server


@expanded
def command(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            parser=whole("--port", 1, 65_535),
            help="The port (default: 9760, or the next free one).",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Where to listen: 127.0.0.1 (default), or 0.0.0.0 for all, with a token in the address.",
        ),
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the address in a browser.")] = False,
    image_roots: options.ImageRoots = None,
    where: options.Where,
) -> None:
    """Look at pictures beside their answers, decide what is good, and see what goes wrong, in a browser.

    Every run of the database is there, also one that is going on. What you accept, reject or edit is kept in the
    database, and decides what `persqa export --reviewed accepted` writes. It ends with Ctrl-C.

    Examples:
        persqa ui
        persqa ui --open --database-url sqlite:///other.db
        persqa ui --host 0.0.0.0 --port 9760
    """
    from producer import Client

    # Who looks starts no worker.
    with Client(where.settings(image_roots=image_roots), local_worker=False) as client:
        none_yet = _none_yet(client)
        with gallery(client, host=host, port=port) as server:
            say(f"{server.elsewhere}the gallery is at [link]{plain(server.address)}[/link], until Ctrl-C")
            if none_yet:
                say(f"it is empty: {plain(none_yet)}", to=notes)
            if open_browser:
                import webbrowser

                webbrowser.open(server.address)
            server.wait()


def gallery(client: Client, *, host: str = "127.0.0.1", port: int | None = None) -> Server:
    """What serves the gallery of a client in a `with` block; parameters as of `Server`.

    Raises:
        SettingsError: it cannot listen there, or its libraries are missing.
    """
    try:
        from producer.web.server import Server
    except ImportError as error:
        said = "the gallery needs a library that is not installed"
        raise SettingsError(not_installed(said, error, extra="ui")) from None
    return Server(client, host=host, port=port)


def _none_yet(client: Client) -> str | None:
    """Where there is no database yet, the sentence that says so; what else is wrong is told at once."""
    try:
        client.runs()
    except NoDatabase as error:
        return str(error)
    return None
