"""Ways through the grid of a gallery that several tests take."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browsing import Gallery

RUN = "/runs/portraits"


def grid(gallery: Gallery, path: str = RUN) -> Page:
    """Open a grid, and wait until all of the run is counted."""
    page = gallery.go(path)
    wait_counted(page)
    return page


def wait_counted(page: Page) -> None:
    """Wait until the page shows all that is there."""
    expect(page.locator("[hx-trigger^='load delay']")).to_have_count(0)


def first_item(gallery: Gallery, path: str) -> Page:
    """Open a grid, and its first item."""
    page = grid(gallery, path)
    page.locator(".tile .look").first.click()
    page.wait_for_url("**/items/**")
    return page


def total(page: Page) -> int:
    """How many items the grid says it has."""
    return int((page.locator(".pager .where strong").first.text_content() or "").replace(",", ""))


def tiles(page: Page) -> list[int]:
    """The items of the grid, in order."""
    return page.locator(".tile").evaluate_all("all => all.map(one => Number(one.dataset.item))")
