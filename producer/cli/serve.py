"""`persqa serve`: the gallery, and the HTTP interface for programs in any language."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from persqa.errors import SettingsError
from persqa.libraries import not_installed
from persqa.required import require_broker
from persqa.urls import without_password
from persqa.variables import variable
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.cli.printing import notes, plain, say


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
        typer.Option("--host", metavar="HOST", help="Where to listen: 127.0.0.1 (default), or 0.0.0.0 for all."),
    ] = "127.0.0.1",
    image_roots: options.ImageRoots = None,
    where: options.Where,
) -> None:
    """Serve the gallery, and an HTTP interface by which programs in any language add records and take results.

    Programs show a token: PERSQA_SUBMIT_TOKEN to add and read, PERSQA_READ_TOKEN to read. One that is not set is made,
    and printed on standard error. It ends with Ctrl-C or SIGTERM, after what is being added. docs/http.md has
    examples.

    Examples:
        persqa serve --broker-url redis://localhost:6379/0
        persqa serve --host 0.0.0.0 --port 9760
    """
    settings = where.settings(image_roots=image_roots)
    broker = without_password(require_broker(settings))
    try:
        from producer.web.door import Tokens
        from producer.web.server import Server
    except ImportError as error:
        said = "the HTTP interface needs a library that is not installed"
        raise SettingsError(not_installed(said, error, extra="ui")) from None
    from producer import Client

    tokens = Tokens.of(settings)
    with Client(settings, local_worker=False) as client:
        client.store.prepare()
        with Server(client, host=host, port=port, tokens=tokens) as server:
            say(f"{server.elsewhere}the gallery is at [link]{plain(server.address)}[/link]")
            say(f"programs ask at {plain(server.for_programs)}, until Ctrl-C")
            say(f"what they add goes to {plain(without_password(settings.database_url))}, {plain(broker)}")
            for name, token in (("submit", tokens.submit), ("read", tokens.read)):
                if name in tokens.made:
                    made = f"the token to {name} is {token} (made now; {variable(f'{name}_token')} sets one)"
                    say(made, to=notes)
            # Being told to end is how it ends.
            with suppress(SystemExit):
                server.wait()
