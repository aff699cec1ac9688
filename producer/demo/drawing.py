"""Drawing a person, part by part."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

from PIL import Image

from producer.demo import colours
from producer.demo.attire import ATTIRE, SHOULDERS, UNDERSHIRT
from producer.demo.backgrounds import BACKGROUNDS
from producer.demo.canvas import EDGE, MARGIN, Canvas, darker
from producer.demo.extras import ACCESSORIES, POSES
from producer.demo.face import EXPRESSIONS, EYES, FEATURES_ABOVE, FEATURES_BELOW, GLASSES, head, neck, nose
from producer.demo.hair import HAIR

if TYPE_CHECKING:
    from producer.demo.person import Person

#: Everything is drawn larger by this factor, then reduced.
_SUPERSAMPLING: Final = 3


def draw(person: Person, chance: random.Random, side: int) -> Image.Image:
    """One portrait.

    Args:
        person: what the portrait shows.
        chance: decides what the attributes leave open: shades, place, size, tilt.
        side: edge of the picture, in pixels; it changes nothing but the size.

    Returns:
        A square RGB image.
    """
    zoom = side * _SUPERSAMPLING / EDGE
    backdrop, figure = Canvas(zoom), Canvas(zoom)
    colour = colours.shade(colours.BACKGROUND[person.background_colour], chance)
    backdrop.image.paste(colour, (0, 0, *backdrop.image.size))
    BACKGROUNDS[person.background](backdrop, colour, chance)
    _draw_figure(figure, person, chance)
    moved = _moved(figure, chance)
    backdrop.image.paste(moved, mask=moved)
    margin = round(MARGIN * zoom)
    inside = (margin, margin, backdrop.image.width - margin, backdrop.image.height - margin)
    return backdrop.image.crop(inside).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def _draw_figure(canvas: Canvas, person: Person, chance: random.Random) -> None:
    skin = colours.shade(colours.SKIN[person.skin_tone], chance)
    hair = colours.shade(colours.HAIR[person.hair_colour], chance)
    cloth = colours.shade(colours.ATTIRE[person.attire_colour], chance)
    eyes = colours.shade(colours.EYES[person.eye_colour], chance)
    half = SHOULDERS[person.build] + chance.uniform(-8, 8)
    behind, before = HAIR[person.hairstyle]
    behind(canvas, darker(hair, 0.12))
    neck(canvas, skin)
    ATTIRE[person.attire](canvas, cloth, skin, half)
    head(canvas, skin)
    if part := FEATURES_BELOW.get(person.feature):
        part(canvas, darker(hair, 0.08), skin)
    before(canvas, hair)
    EYES[person.eye_shape](canvas, eyes, skin)
    nose(canvas, skin)
    EXPRESSIONS[person.expression](canvas, skin, darker(hair, 0.3))
    if part := FEATURES_ABOVE.get(person.feature):
        part(canvas, hair, skin)
    GLASSES[person.glasses](canvas)
    ACCESSORIES[person.accessory](canvas)
    sleeves = {"dress": skin, "pair of overalls": UNDERSHIRT}
    POSES[person.pose](canvas, skin, sleeves.get(person.attire, cloth), half)


def _moved(canvas: Canvas, chance: random.Random) -> Image.Image:
    """The figure, moved, scaled and tilted a little around its middle."""
    size, angle = chance.uniform(1.0, 1.14), math.radians(chance.uniform(-5, 5))
    right, down = chance.uniform(-16, 16), chance.uniform(-6, 10)
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    middle = canvas.image.width / 2
    x, y = middle + right * canvas.zoom, middle + down * canvas.zoom
    # Pillow wants the inverse: where each pixel comes from.
    back = (cosine, sine, middle - cosine * x - sine * y, -sine, cosine, middle + sine * x - cosine * y)
    # Nearest pixel: the reduction that follows smooths the edges anyway.
    return canvas.image.transform(canvas.image.size, Image.Transform.AFFINE, back, Image.Resampling.NEAREST)
