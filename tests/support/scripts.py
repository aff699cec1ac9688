"""Scripts for `ScriptedEngine`, by name, for workers in processes of their own."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL.Image import Image

from persqa.errors import EngineDead, Rejected
from persqa.generations import FinishReason
from persqa.reasons import Reason
from tests.support.scripted_engine import Line

if TYPE_CHECKING:
    from worker.engines.engine import Request
    from worker.pictures import Picture

_TAG = re.compile(r"The name of the main character in the image is (<[\w-]+>)\.")


def tag_of(request: Request) -> str:
    """The tag the prompt asks for."""
    match = _TAG.match(request.user)
    assert match is not None, request.user
    return match[1]


def _first_pixel(picture: Picture) -> tuple[int, ...]:
    assert isinstance(picture.pixels, Image)
    return cast("tuple[int, ...]", picture.pixels.getpixel((0, 0)))


def compliant(request: Request) -> Line:
    """A good answer at once."""
    start = "" if request.prefill else tag_of(request)
    return Line(text=f"{start} wears a red coat.")


def reads_colour(request: Request) -> Line:
    """Answers with the colour of the image's first pixel, after a random while: an answer tells its image."""
    red, green, blue = _first_pixel(request.images[0])
    start = "" if request.prefill else tag_of(request)
    return Line(text=f"{start} is {red}-{green}-{blue}", seconds=random.uniform(0, 0.05))


def never_the_tag(request: Request) -> Line:
    """Breaks the rule whenever it can: compliant only when prefilled."""
    return Line(text=" wears a hat." if request.prefill else "The person wears a hat.")


def always_broken(_request: Request) -> Line:
    """Breaks the rule even when prefilled."""
    return Line(text="")


def second_try(request: Request) -> Line:
    """Half of all generations give a compliant answer, each time others."""
    chance = random.Random(request.request_id)
    return Line(text=f"{tag_of(request)} smiles." if chance.random() < 0.5 else "A smile.")


def truncated(request: Request) -> Line:
    """Runs into the length limit."""
    return Line(text=f"{tag_of(request)} wears a", finish_reason=FinishReason.LENGTH)


def hostile_text(request: Request) -> Line:
    """Says what no database likes."""
    return Line(text=f"{tag_of(request)} nul \0 surrogate \ud800 end")


def too_long(request: Request) -> Line:
    """Refuses every third item."""
    if int(request.request_id.split("-")[0]) % 3 == 0:
        raise Rejected(Reason.TOO_LONG, "the prompt has 9000 tokens, the model takes 2048")
    return compliant(request)


def defect(request: Request) -> Line:
    """Fails in a way nobody foresaw, on every third item."""
    if int(request.request_id.split("-")[0]) % 3 == 0:
        raise KeyError("nobody thought of this")
    return compliant(request)


def slow(request: Request) -> Line:
    """Takes its time."""
    return Line(text=compliant(request).text, seconds=1.0)


def takes_about(request: Request) -> Line:
    """Takes a random while of a given mean."""
    seconds = 2 * float(os.environ["SCRIPT_SECONDS"])
    return Line(text=reads_colour(request).text, seconds=random.uniform(0, seconds))


def takes_as_told(request: Request) -> Line:
    """Takes a random while whose mean stands in a file, so that a run is slow while there is something to see."""
    seconds = 2 * float(Path(os.environ["SCRIPT_SECONDS_FILE"]).read_text())
    return Line(text=reads_colour(request).text, seconds=random.uniform(0, seconds))


def takes_long(request: Request) -> Line:
    """Takes several leases for each item."""
    _note(request)
    return Line(text=reads_colour(request).text, seconds=float(os.environ["SCRIPT_SECONDS"]))


def third_takes_long(request: Request) -> Line:
    """Takes long for the third item of the run."""
    return takes_long(request) if request.request_id.split("-")[0].endswith("0003") else reads_colour(request)


def compliant_by_number(request: Request) -> Line:
    """A good answer that says which item of the run it is for."""
    return Line(text=f"{tag_of(request)} has number {int(request.request_id.split('-')[0]) % 10**10}.")


@cache
def _plan(file: str) -> dict[str, str]:
    return cast("dict[str, str]", json.loads(Path(file).read_text()))


def as_planned(request: Request) -> Line:
    """Says what a file has for the item."""
    return Line(text=_plan(os.environ["SCRIPT_ANSWERS"])[request.request_id.split("-")[0]])


def by_number(request: Request) -> Line:
    """The number of the item decides how it ends: one of 14 as dead, three as invalid, four as noncompliant."""
    number = int(request.request_id.split("-")[0]) % 10**10
    if number == 1:
        raise KeyError("nobody thought of this")
    if number in {2, 5, 8}:
        raise Rejected(Reason.TOO_LONG, "the prompt has 9000 tokens, the model takes 2048")
    return always_broken(request) if number % 3 == 0 and number < 12 else compliant(request)


def poison(request: Request) -> Line:
    """The engine dies of the third item of the run, whenever it comes."""
    if request.request_id.split("-")[0].endswith("0003"):
        raise EngineDead("the engine died of this, as scripted")
    return reads_colour(request)


def kills_worker(request: Request) -> Line:
    """The whole worker dies of the third item of the run, whenever it comes."""
    if request.request_id.split("-")[0].endswith("0003"):
        os.kill(os.getpid(), signal.SIGKILL)
    return reads_colour(request)


def short_of_memory(request: Request) -> Line:
    """There is never enough memory for the third item of the run."""
    if request.request_id.split("-")[0].endswith("0003"):
        raise MemoryError
    return reads_colour(request)


def hangs_once(request: Request) -> Line:
    """The first request of all is never answered; asked again, it is."""
    marker = Path(os.environ["SCRIPT_NOTES"])
    if marker.exists():
        return reads_colour(request)
    marker.touch()
    return Line(text="", seconds=3600, silent=True)


def dies_once(request: Request) -> Line:
    """The engine dies of the first request of all; asked again, it answers."""
    marker = Path(os.environ["SCRIPT_NOTES"])
    if marker.exists():
        return reads_colour(request)
    marker.touch()
    raise EngineDead("the engine died once, as scripted")


def dies_beside_others(request: Request) -> Line:
    """The first four requests are never answered; the engine dies of the fifth, and the next one is well."""
    notes = Path(os.environ["SCRIPT_NOTES"])
    _note(request)
    begun = len(notes.read_text().split())
    if begun < 5:
        return Line(text="", seconds=3600)
    if begun == 5:
        raise EngineDead("the engine died once, as scripted")
    return reads_colour(request)


def blocks_once(request: Request) -> Line:
    """The whole event loop stands still at the first request of all."""
    marker = Path(os.environ["SCRIPT_NOTES"])
    if not marker.exists():
        marker.touch()
        threading.Event().wait()
    return reads_colour(request)


def _note(request: Request) -> None:
    with Path(os.environ["SCRIPT_NOTES"]).open("a") as notes:
        notes.write(request.request_id.split("-")[0] + "\n")


def dies(_request: Request) -> Line:
    """The engine is gone."""
    raise EngineDead("the engine died, as scripted")


def text_or_colour(request: Request) -> Line:
    """Answers with the colours of all images, or, to a prompt of somebody else's, with what it was asked."""
    pixels = [_first_pixel(image) for image in request.images]
    colours = "/".join("-".join(str(part) for part in pixel) for pixel in pixels)
    if _TAG.match(request.user) is None:
        return Line(text=f"{request.system}|{request.user}|{colours}")
    start = "" if request.prefill else tag_of(request)
    return Line(text=f"{start} is {colours or 'unseen'}")


def named_by_tag(request: Request) -> Line:
    """The tag names the script, so that tests of every kind can share a worker; any other is a name like another."""
    match = _TAG.match(request.user)
    script = globals().get(match[1].strip("<>") if match else "", text_or_colour)
    if script is not dies_once:
        _note(request)
    return script(request)


def guesses_blind(request: Request) -> Line:
    """As `reads_colour`; without an image, it says one and the same colour."""
    return reads_colour(request) if request.images else Line(text=f"{tag_of(request)} is 1-2-3")


def dies_blind(request: Request) -> Line:
    """The engine dies of the first question without an image; a file says that it has."""
    died = Path(os.environ["DIES_ONCE"])
    if not request.images and not died.exists():
        died.touch()
        raise EngineDead("it died of a question without an image")
    return guesses_blind(request)
