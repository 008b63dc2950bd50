"""What is in a picture: two or three shapes, one of which may be a sign with a word, or a chart of two to four bars.

Everything stands in a cell of a grid of four by four. A cell is 28 pixels wide, which is one image token of Qwen2-VL.
No two things of a scene have the same colour and no two the same shape, so a colour or a shape names one thing.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

GRID = 4
SHAPES = ("circle", "square", "triangle", "diamond", "heart", "ring")
COLORS = ("red", "blue", "green", "yellow", "black", "purple")
SIZES = ("small", "large")
WORDS = ("STOP", "EXIT", "OPEN", "CAFE", "TAXI", "BUS", "SALE", "BANK", "PARK", "ZOO")
PLACES = ("top left", "top right", "bottom left", "bottom right")
VALUES = tuple(range(1, 10))
CHARTS, SIGNS = 0.3, 0.5  # the share of charts, and the share of the other pictures that have a sign


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: a shape with its size, a sign with its word, or a bar with its value (1 to 9) above it."""

    kind: str  # shape, sign or bar
    color: str
    row: int
    column: int
    shape: str = ""
    size: str = ""
    word: str = ""
    value: int = 0

    @property
    def place(self) -> str:
        """The quarter of the picture."""
        return PLACES[2 * (2 * self.row // GRID) + 2 * self.column // GRID]


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in the order of reading: from the top, from the left."""

    things: tuple[Thing, ...]

    def find(self, kind: str, **wanted: object) -> Thing | None:
        """The thing of this kind with these properties, or None."""
        for thing in self.things:
            if thing.kind == kind and all(getattr(thing, name) == value for name, value in wanted.items()):
                return thing
        return None

    @property
    def shapes(self) -> tuple[Thing, ...]:
        """The shapes; a sign is none."""
        return tuple(thing for thing in self.things if thing.kind == "shape")

    @property
    def bars(self) -> tuple[Thing, ...]:
        """The bars, from the left."""
        return tuple(thing for thing in self.things if thing.kind == "bar")

    @property
    def sign(self) -> Thing | None:
        """The sign, if there is one."""
        return self.find("sign")


def draw_scene(rng: random.Random) -> Scene:
    """A random scene."""
    if rng.random() < CHARTS:
        columns = sorted(rng.sample(range(GRID), rng.randint(2, 4)))
        colors, values = rng.sample(COLORS, len(columns)), rng.sample(VALUES, len(columns))
        return Scene(tuple(map(_bar, columns, colors, values)))
    count = rng.randint(2, 3)
    cells = sorted(rng.sample(range(GRID * GRID), count))
    colors, shapes = rng.sample(COLORS, count), rng.sample(SHAPES, count)
    things = [
        Thing("shape", color, cell // GRID, cell % GRID, shape=shape, size=rng.choice(SIZES))
        for cell, color, shape in zip(cells, colors, shapes, strict=True)
    ]
    if rng.random() < SIGNS:
        at = rng.randrange(count)
        old = things[at]
        things[at] = Thing("sign", old.color, old.row, old.column, word=rng.choice(WORDS))
    return Scene(tuple(things))


def _bar(column: int, color: str, value: int) -> Thing:
    return Thing("bar", color, 0, column, value=value)


def scenes(seed: str, count: int) -> Iterator[tuple[random.Random, list[Scene]]]:
    """Batches of fresh scenes, with the random numbers that go on from them."""
    rng = random.Random(seed)
    while True:
        yield rng, [draw_scene(rng) for _ in range(count)]
