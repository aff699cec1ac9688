"""Site: what all pages share: the client, the catalogs, the pictures, and how a page is made."""

from __future__ import annotations

import getpass
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from producer.web.batches import Batches
from producer.web.catalog import Catalogs
from producer.web.comparing import Comparisons
from producer.web.pictures import Pictures
from producer.web.texts import shown

if TYPE_CHECKING:
    from starlette.requests import Request

    from producer.client import Client
    from producer.run_handle import RunHandle

_STATIC = Path(__file__).parent / "static"
#: What a browser keeps for its person: light or dark, how large the pictures are, and the name under reviews.
_THEMES = ("light", "dark")
_DENSITIES = ("small", "large")
_LONGEST_NAME = 80


class Site:
    """One gallery: a database, and what is kept in memory to show it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.catalogs = Catalogs(client.store)
        self.comparisons = Comparisons(client.store, self.catalogs)
        self.pictures = Pictures(client.settings)
        self.batches = Batches(client.store, lambda run, items: self.catalogs.note(run.id, items))
        self._templates = _environment()

    def close(self) -> None:
        """Let go of what is kept."""
        self.comparisons.close()
        self.batches.close()
        self.pictures.close()
        self.catalogs.close()

    @property
    def may_review(self) -> bool:
        """Whether this role may write reviews."""
        return self.client.store.reviews.may_write()

    def run(self, request: Request) -> RunHandle:
        """The run that the address names.

        Raises:
            RunNotFound: there is no such run.
        """
        return self.client.run(request.path_params["run"])

    def reviewer(self, request: Request) -> str:
        """The name under reviews: the one that this browser was told, or that of who started the gallery."""
        return unquote(request.cookies.get("persqa-reviewer", "")).strip()[:_LONGEST_NAME] or login_name()

    def page(self, request: Request, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """Make a page; templates get `site`, `request`, `theme`, `density` and `reviewer` beside what is given."""
        always: dict[str, object] = {
            "site": self,
            "request": request,
            "theme": _one_of(request.cookies.get("persqa-theme"), _THEMES, ""),
            "density": _one_of(request.cookies.get("persqa-density"), _DENSITIES, "small"),
            "reviewer": self.reviewer(request),
        }
        text = self._templates.get_template(template).render(always | context)
        # What one has decided is to be seen after going back, too.
        return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def login_name() -> str:
    """Who runs this program."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user without a name.
        return "somebody"


def _environment() -> Environment:
    templates = Environment(
        loader=PackageLoader("producer.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["shown"] = shown
    templates.filters["number"] = number
    templates.globals["static"] = _static
    return templates


def number(value: float) -> str:
    """A number with its thousands set apart, as in 1,000,000."""
    return f"{value:,}"


@cache
def _static(name: str) -> str:
    """The address of a file of ours, which changes with the file, so that browsers may keep it."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?{digest[:12]}"


def _one_of(value: str | None, known: tuple[str, ...], usual: str) -> str:
    return value if value in known else usual
