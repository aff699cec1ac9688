"""The first steps of a person, and that what watches over the browser sees something."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open
from tests.support.browsing import Gallery, assert_accessible


def test_the_first_page_leads_to_the_run(gallery: Gallery) -> None:
    seen = gallery.go()
    seen.get_by_role("link", name="portraits").first.click()
    seen.wait_for_url("**/runs/portraits**")
    assert_accessible(seen)


def test_requests_elsewhere_and_complaints_are_seen(gallery: Gallery, open_gallery: Open) -> None:
    seen = gallery.go()
    for fault, said in {
        "fetch('http://127.0.0.1:9/').catch(() => 0)": "Content Security Policy",
        "void console.error('a fault')": "a fault",
        "void setTimeout(() => { throw new Error('a later fault') })": "a later fault",
    }.items():
        seen.evaluate(fault)
        seen.evaluate("new Promise((done) => setTimeout(done, 10))")
        with pytest.raises(AssertionError, match=said):
            gallery.check()
        gallery.complaints.clear()
    other = open_gallery(gallery.client)
    seen.goto(other.address)
    with pytest.raises(AssertionError, match="asked elsewhere"):
        gallery.check()
    seen.close()
    gallery.asked.clear()
