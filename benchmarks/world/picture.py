"""Draw a scene as a picture of 112 x 112 pixels, with Pillow's own bitmap font: no file of a machine is needed.

The ground is lit from one corner, so a cell shows where in the picture it lies.
"""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.world.scene import GRID, Scene, Thing

CELL = 28
SIDE = CELL * GRID
INK = {
    "red": (214, 40, 40), "blue": (38, 84, 200), "green": (32, 150, 70), "yellow": (232, 190, 0),
    "black": (25, 25, 25), "purple": (140, 50, 170),
}  # fmt: skip
FONT = ImageFont.load_default_imagefont()


def draw_picture(scene: Scene, rng: random.Random) -> Image.Image:
    """The picture. `rng` moves things by a pixel or two and sets the light."""
    ramp = np.linspace(0, 1, SIDE)
    light = rng.randint(-6, 6)
    ground = np.full((SIDE, SIDE, 3), 222 + light, dtype=np.float64)
    ground[:, :, 0] += 28 * ramp[None, :] - 14
    ground[:, :, 2] += 28 * ramp[:, None] - 14
    picture = Image.fromarray(ground.round().clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for thing in scene.things:
        left, top = thing.column * CELL, thing.row * CELL
        if thing.kind == "bar":
            _bar(pen, thing, left, top)
        elif thing.kind == "sign":
            _sign(pen, thing, left, top)
        else:
            _shape(pen, thing, left + rng.randint(-1, 1), top + rng.randint(-1, 1))
    return picture


def _shape(pen: ImageDraw.ImageDraw, thing: Thing, left: int, top: int) -> None:
    ink = INK[thing.color]
    radius = 11 if thing.size == "large" else 6
    x, y = left + CELL // 2, top + CELL // 2
    box = (x - radius, y - radius, x + radius, y + radius)
    match thing.shape:
        case "circle":
            pen.ellipse(box, fill=ink)
        case "ring":
            pen.ellipse(box, outline=ink, width=max(2, radius // 3))
        case "square":
            pen.rectangle(box, fill=ink)
        case "triangle":
            pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=ink)
        case "diamond":
            pen.polygon([(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)], fill=ink)
        case "heart":
            lobe = radius // 2
            pen.ellipse((x - radius, y - radius, x, y), fill=ink)
            pen.ellipse((x, y - radius, x + radius, y), fill=ink)
            pen.polygon([(x - radius, y - lobe), (x + radius, y - lobe), (x, y + radius)], fill=ink)


def _sign(pen: ImageDraw.ImageDraw, thing: Thing, left: int, top: int) -> None:
    ink = INK[thing.color]
    pen.rectangle((left + 1, top + 4, left + CELL - 2, top + CELL - 5), fill="white", outline=ink, width=2)
    _write(pen, thing.word, left, top, ink)


def _bar(pen: ImageDraw.ImageDraw, thing: Thing, left: int, top: int) -> None:
    """The value in the top cell, and the bar below it, from the bottom of the picture."""
    ink = INK[thing.color]
    height = thing.value * (SIDE - CELL - 4) // 9
    pen.rectangle((left + 5, SIDE - height, left + CELL - 6, SIDE), fill=ink)
    pen.rectangle((left + 6, top + 6, left + CELL - 7, top + CELL - 7), fill=ink)
    _write(pen, str(thing.value), left, top, (255, 255, 255))


def _write(pen: ImageDraw.ImageDraw, text: str, left: int, top: int, ink: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = FONT.getbbox(text)
    pen.text((left + (CELL - (x1 - x0)) // 2, top + (CELL - (y1 - y0)) // 2), text, fill=ink, font=FONT)
