"""The commands that bring data in and out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from oasis_ray.cli.app import app
from oasis_ray.cli.terminal import err, out

SHOWN = 10  # files that are passed over and named on the terminal


@app.command()
def ingest(
    source: Annotated[Path, typer.Argument(help="A folder of images, a tar, or a jsonl with a path a line.")],
    folder: Annotated[Path, typer.Argument(help="Where the shards go.", metavar="OUT")],
    rows_per_shard: Annotated[int, typer.Option(min=1, help="Images in one shard.")] = 1000,
    root: Annotated[
        list[str] | None, typer.Option(help="A folder that links in the source may lead into. Repeatable.")
    ] = None,
) -> None:
    """Make Parquet shards from a folder of images, a tar, or a jsonl."""
    from oasis_ray.input.ingest import PASSED_OVER
    from oasis_ray.input.ingest import ingest as make

    made = make(source, folder, rows_per_shard=rows_per_shard, roots=root or ())
    for name, reason in made.names[:SHOWN]:
        err.print(f"passed over {name}: {reason}", soft_wrap=True)
    if len(made.names) > SHOWN:
        err.print(f"… and {len(made.names) - SHOWN} more: {folder}/{PASSED_OVER} names each", soft_wrap=True)
    for name in made.repeated[:SHOWN]:
        err.print(f"the id {name!r} comes more than once; the job needs `input.repeated_ids: number`", soft_wrap=True)
    shards = "1 shard" if made.shards == 1 else f"{made.shards} shards"
    images = "1 image" if made.rows == 1 else f"{made.rows} images"
    out.print(f"{images} in {shards} at {folder}", soft_wrap=True)
    for reason, count in made.passed_over.items():
        out.print(f"passed over: {count} {reason}", soft_wrap=True)


@app.command()
def export(
    run_folders: Annotated[list[str], typer.Argument(help="Run folders, one or more.", metavar="RUN…")],
    form: Annotated[str, typer.Option("--format", help="llava, sharegpt, openai, swift, hf or webdataset.")],
    folder: Annotated[str, typer.Option("--out", help="A local folder that is not there yet, or empty.")],
    captions: Annotated[
        float | None,
        typer.Option(help="Captions for each accepted row: 0.5 is the paper's mixture. Default: all."),
    ] = None,
    split: Annotated[str, typer.Option(help="Shares of the splits: train=0.95,validation=0.05.")] = "train=1",
    cap: Annotated[
        list[str] | None, typer.Option(help="Most rows of one origin or language: origin=1000. Repeatable.")
    ] = None,
    dedup: Annotated[str, typer.Option(help="Which rows are the same: none, text or image.")] = "none",
    seed: Annotated[int, typer.Option(help="Of the shuffle and the splits.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="So many rows at most.")] = None,
    images: Annotated[
        str,
        typer.Option(help="as-seen: images as the judges saw them. original: as they came. none: only their paths."),
    ] = "as-seen",
    no_images: Annotated[bool, typer.Option("--no-images", hidden=True, help="Short for --images none.")] = False,
    shard_mb: Annotated[int, typer.Option(min=1, help="Megabytes of a shard of hf and webdataset.")] = 500,
    removed: Annotated[
        bool, typer.Option("--removed", help="Include rows whose images are no longer in the input.")
    ] = False,
    license: Annotated[str, typer.Option(help="What the card of hf names.")] = "other",  # noqa: A002
) -> None:
    """Write the accepted rows and captions of runs as a data set that others load: see docs/export.md."""
    from oasis_ray.export.export import export as write
    from oasis_ray.export.options import read_options

    options = read_options(
        form, split=split, caps=cap or (), dedup=dedup, captions=captions, seed=seed, limit=limit,
        images="none" if no_images else images,
        shard_mb=shard_mb, license=license, removed=removed,
    )  # fmt: skip
    made = write(run_folders, folder, options)
    table = Table("split", *(Column(outcome, justify="right") for outcome in ("accepted", "captions")), show_edge=False)
    for name, kinds in made.splits.items():
        table.add_row(name, *map(str, kinds.values()))
    out.print(table)
    table = Table("files", *(Column(head, justify="right") for head in ("number", "bytes")), show_edge=False)
    for name, (count, size) in made.files.items():
        table.add_row(name, str(count), f"{size:,}")
    out.print(table)
    for reason, rows in made.left_out.items():
        out.print(f"left out: {rows} rows, {reason}", soft_wrap=True)
    for note in made.notes:
        out.print(f"note: {note}", soft_wrap=True)
    rate = made.rows / max(made.seconds, 1e-6)
    out.print(f"{made.rows} rows in {made.seconds:.1f} s ({rate:.0f} rows/s) at {folder}", soft_wrap=True)
