"""Take the pictures of docs/gallery.md: `python -m scripts.gallery_pictures docs/pictures --run faces`.

The run is there already: `persqa demo-data 300 faces`, and `persqa run faces/faces.jsonl --questions-per-image 4`. It
takes Chromium, Playwright (`persqa[dev]`) and `persqa[ui]`.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image
from playwright.sync_api import Browser, Error, Page

from persqa.settings import load_settings
from producer import Client
from producer.web.server import Server
from tests.support.browsing import browsing, chromium

if TYPE_CHECKING:
    from producer import RunHandle

#: Of a picture, in bytes: they are in the repository for good.
_MOST_BYTES = 150_000
#: For a page to be there, and for its pictures and figures to be on it, in milliseconds.
_PATIENCE = 20_000
#: Width and height of the window in pixels, and light or dark.
_WINDOWS: dict[str, tuple[int, int, Literal["light", "dark"]]] = {
    "light": (1440, 900, "light"),
    "dark": (1440, 900, "dark"),
    "phone": (390, 844, "light"),
}
_LOADED = """() => document.readyState === "complete"
    && [...document.images].every((one) => one.complete || one.loading === "lazy")
    && !document.querySelector(".htmx-request")"""


@dataclass(frozen=True)
class _Screen:
    """One screen: the name of its pictures, its address, and the windows it is taken in."""

    name: str
    address: str
    windows: tuple[str, ...] = ("light",)


def main() -> None:
    """Take all of them; what does not answer is said and passed over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--database-url", help="the database (default: as for persqa)")
    parser.add_argument("--run", help="the run (default: the newest)")
    parser.add_argument("--other", help="another run with the same records, to compare (default: none)")
    parser.add_argument("--all", action="store_true", help="each screen in each window, to look at")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    program = chromium()
    if program is None:
        sys.exit("there is no Chromium on this machine")
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(load_settings(database_url=asked.database_url), local_worker=False) as client,
        Server(client) as server,
        browsing(program) as browser,
    ):
        run = client.run(asked.run) if asked.run else client.runs()[0]
        sent = Path(folder) / "page.html"
        run.export(sent, gallery=True, sample=60)
        screens = [*_screens(server.address.rstrip("/"), run, asked.other), _Screen("gallery-page", sent.as_uri())]
        taken = {
            one.name: all(_take(browser, one, window, asked.folder) for window in _WINDOWS if window in one.windows)
            for one in (replace(one, windows=tuple(_WINDOWS)) if asked.all else one for one in screens)
        }
    if not all(taken.values()):
        sys.exit(f"not taken: {', '.join(name for name, is_there in taken.items() if not is_there)}")


def _screens(address: str, run: RunHandle, other: str | None) -> list[_Screen]:
    home = f"{address}/runs/{run.name}"
    bad = next(run.results(status="noncompliant"), None) or next(run.results())
    screens = [
        _Screen("gallery-runs", f"{address}/"),
        _Screen("gallery-grid", home, ("light", "phone")),
        _Screen("gallery-item", f"{home}/items/{bad.item_id}", ("light", "dark")),
        _Screen("gallery-figures", f"{home}/figures"),
        _Screen("gallery-failures", f"{home}/failures"),
    ]
    return [*screens, _Screen("gallery-compare", f"{address}/compare?a={run.name}&b={other}")] if other else screens


def _take(browser: Browser, screen: _Screen, window: str, folder: Path) -> bool:
    """One picture; whether there is such a screen."""
    width, height, scheme = _WINDOWS[window]
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:
        page = context.new_page()
        answer = page.goto(screen.address)
        # That of a file has no status.
        if answer is not None and answer.status >= 400:
            return False
        _wait(page)
        _store(page, folder / f"{screen.name}-{window}.png")
    return True


def _wait(page: Page) -> None:
    """Until nothing on it is on its way; a page that polls is never still, so not for long."""
    try:
        page.wait_for_function(_LOADED, timeout=_PATIENCE)
        # Charts and counts that come in a second step.
        page.wait_for_load_state("networkidle", timeout=_PATIENCE // 4)
    except Error:
        return


def _store(page: Page, file: Path) -> None:
    """As a PNG of 256 colours, scaled down where that is still too large."""
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    data = _packed(taken)
    while len(data) > _MOST_BYTES:
        taken = taken.resize((taken.width * 5 // 6, taken.height * 5 // 6), Image.Resampling.LANCZOS)
        data = _packed(taken)
    file.write_bytes(data)
    print(f"{file}: {len(data):,} bytes")  # noqa: T201 - for who runs it


def _packed(picture: Image.Image) -> bytes:
    packed = io.BytesIO()
    # Of the ways to choose colours this one keeps the rare ones, such as those of labels.
    picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main()
