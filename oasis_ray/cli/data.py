"""The commands that bring data in and out."""

from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.cli.app import app
from oasis_ray.terminal import err, out


@app.command()
def ingest(
    source: Annotated[Path, typer.Argument(help="A folder of images, a tar, or a jsonl with a path a line.")],
    folder: Annotated[Path, typer.Argument(help="Where the shards go.", metavar="OUT")],
    rows_per_shard: Annotated[int, typer.Option(min=1, help="Images in one shard.")] = 1000,
) -> None:
    """Make Parquet shards from a folder of images, a tar, or a jsonl."""
    from oasis_ray.ingest import ingest as make

    made = make(source, folder, rows_per_shard=rows_per_shard)
    for text in made.skipped:
        err.print(f"skipped {text}", soft_wrap=True)
    out.print(f"{made.rows} images in {made.shards} shards at {folder}, {len(made.skipped)} skipped", soft_wrap=True)
