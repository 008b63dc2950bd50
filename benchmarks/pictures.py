"""Draw small pictures for the demo: coloured shapes, bars, and lines as of a page; with a few broken files among them.

python benchmarks/pictures.py data/demo
"""

import io
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("crimson", "teal", "gold", "navy", "orchid", "olive", "sienna", "black")
SIDE = 112
COUNT = 58


def draw(rng: random.Random) -> Image.Image:
    """One picture of 112 x 112 pixels."""
    picture = Image.new("RGB", (SIDE, SIDE), rng.choice(("white", "ivory", "lightgrey")))
    pen, kind = ImageDraw.Draw(picture), rng.choice(("shapes", "bars", "page"))
    if kind == "page":
        for y in range(14, SIDE - 10, 14):
            pen.line((10, y, rng.randint(50, SIDE - 10), y), fill="black", width=3)
    elif kind == "bars":
        for x in range(14, SIDE - 14, 28):
            pen.rectangle((x, rng.randint(20, 90), x + 18, SIDE - 12), fill=rng.choice(COLOURS))
    else:
        for _ in range(rng.randint(1, 4)):
            x, y = rng.randrange(0, SIDE - 28, 28), rng.randrange(0, SIDE - 28, 28)
            shape = rng.choice((pen.ellipse, pen.rectangle))
            shape((x + 2, y + 2, x + 26, y + 26), fill=rng.choice(COLOURS))
    return picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def broken(rng: random.Random) -> dict[str, bytes | None]:
    """Files as they come in real collections, each wrong in its own way."""
    frames = [draw(rng) for _ in range(3)]
    return {
        "broken/truncated.png": encoded(draw(rng))[:-80],
        "broken/web-page.jpg": b"<html><body>404 Not Found</body></html>",
        "broken/nothing.png": None,
        "broken/line.png": encoded(Image.new("RGB", (400, 1), "black")),
        "broken/animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "broken/empty.webp": b"",
    }


def main(out: Path) -> None:
    """Write two shards of the same pictures each time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(0)
    files = {f"picture-{number:03d}.png": encoded(draw(rng)) for number in range(COUNT)} | broken(rng)
    rows = [{"id": name, "image": {"bytes": data, "path": name}} for name, data in sorted(files.items())]
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "image": image}))
    out.mkdir(parents=True, exist_ok=True)
    half = len(table) // 2
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(part, out / f"shard-{number:05d}.parquet", row_group_size=16)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
