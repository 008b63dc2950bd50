"""Write pictures of the world as Parquet shards, the same each time; for the demo with a few broken files among them.

python -m benchmarks.demo_images data/demo
"""

import io
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.world.picture import draw_picture
from benchmarks.world.scene import Scene, draw_scene
from oasis_ray.input.columns import IMAGE

COUNT = 294


def picture_of(seed: str, number: int) -> tuple[Scene, Image.Image]:
    """The scene and the picture of this number; training draws from other seeds."""
    rng = random.Random(f"pictures {seed} {number}")
    scene = draw_scene(rng)
    return scene, draw_picture(scene, rng)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def broken() -> dict[str, bytes | None]:
    """Files as they come in real collections, each wrong in its own way."""
    frames = [picture_of("broken", number)[1] for number in range(3)]
    return {
        "broken/truncated.png": encoded(frames[0])[:-80],
        "broken/web-page.jpg": b"<html><body>404 Not Found</body></html>",
        "broken/nothing.png": None,
        "broken/line.png": encoded(Image.new("RGB", (400, 1), "black")),
        "broken/animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "broken/empty.webp": b"",
    }


def write_shards(out: Path, seed: str, count: int, others: dict[str, bytes | None], shards: int = 2) -> None:
    """Write `count` pictures, named `SEED-NUMBER.png`, and other files among them."""
    files = {f"{seed}-{number:05d}.png": encoded(picture_of(seed, number)[1]) for number in range(count)} | others
    rows = [{"id": name, "image": {"bytes": data, "path": name}} for name, data in sorted(files.items())]
    table = pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "image": IMAGE}))
    out.mkdir(parents=True, exist_ok=True)
    each = -(-len(table) // shards)
    for number in range(shards):
        part = table.slice(number * each, each)
        pq.write_table(part, out / f"shard-{number:05d}.parquet", row_group_size=16)


if __name__ == "__main__":
    write_shards(Path(sys.argv[1]), "demo", COUNT, broken())
