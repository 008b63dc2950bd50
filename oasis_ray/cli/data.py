"""Commands that read input and write output: `ingest` and `export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from oasis_ray.cli.app import app
from oasis_ray.cli.terminal import err, out
from oasis_ray.errors import counted

SHOWN = 10  # files that the terminal lists of those that were passed over


@app.command()
def ingest(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of images, tar archive, or list of records: .jsonl (one JSON object per line) or .json (one "
            "JSON list of objects).",
            metavar="SOURCE",
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder for the shards.", metavar="OUT")],
    rows_per_shard: Annotated[int, typer.Option(min=1, help="Maximum number of rows per shard.", metavar="N")] = 1000,
    root: Annotated[
        list[str] | None,
        typer.Option(help="Folder that symbolic links in SOURCE may point into. Repeatable.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Write your images and records to Parquet shards.

    A folder or a tar archive gives one row per image, with the columns id and image.

    A list gives one row per record, with the columns id and image and a column for every other key. The column image
    contains the file whose path is in the key image, images, image_path, img_path or file_path; it is null for a record
    without an image. Conversations are read from the keys conversations and messages. docs/input.md has examples.
    """
    from oasis_ray.input.ingest import PASSED_OVER
    from oasis_ray.input.ingest import ingest as write_shards

    result = write_shards(source, folder, rows_per_shard=rows_per_shard, roots=root or ())
    for name, reason in result.names[:SHOWN]:
        err.print(f"passed over {name}: {reason}", soft_wrap=True)
    if len(result.names) > SHOWN:
        err.print(f"… and {len(result.names) - SHOWN} more: {folder}/{PASSED_OVER} lists all of them", soft_wrap=True)
    for name in result.repeated[:SHOWN]:
        err.print(f"the id {name!r} occurs more than once; the job needs `input.repeated_ids: number`", soft_wrap=True)
    for note in result.notes:
        err.print(f"note: {note}", soft_wrap=True, markup=False)
    what = counted(result.rows, "image")
    if result.without_image:
        what = f"{counted(result.rows, 'row')} ({result.without_image} without an image)"
    out.print(f"{what} in {counted(result.shards, 'shard')} at {folder}", soft_wrap=True)
    for reason, count in result.passed_over.items():
        out.print(f"passed over: {count} {reason}", soft_wrap=True)


@app.command()
def export(
    run_folders: Annotated[list[str], typer.Argument(help="One or more run folders.", metavar="RUN")],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="Output format: llava, sharegpt, openai, swift, hf or webdataset.", metavar="FORMAT"
        ),
    ],
    folder: Annotated[str, typer.Option("--out", help="Local output folder; must be new or empty.", metavar="FOLDER")],
    mix: Annotated[
        list[str] | None,
        typer.Option(
            help="Maximum number of records of the kind NAME (a folder of the run) per accepted row, e.g. NAME=0.5; 0 "
            "leaves them out. Repeatable. Default: all records of every kind.",
            metavar="NAME=RATIO",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Splits and their shares, e.g. train=0.95,validation=0.05.", metavar="NAME=SHARE,…")
    ] = "train=1",
    cap: Annotated[
        list[str] | None,
        typer.Option(
            help="Maximum number of rows for each value of KEY, e.g. language=5000. KEY is language or origin (the "
            "column named by input.origin in the job). Repeatable.",
            metavar="KEY=N",
        ),
    ] = None,
    dedup: Annotated[
        str,
        typer.Option(
            help="What to deduplicate by: none, text or image. One row of each group of duplicates is kept. text "
            "compares the instructions, or the responses where the instruction is a phrase drawn at random, such as "
            "'Describe this image.'; of a conversation, all questions or all answers.",
            metavar="WHAT",
        ),
    ] = "none",
    seed: Annotated[int, typer.Option(help="Random seed for shuffling and splitting.", metavar="N")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of rows.", metavar="N")] = None,
    images: Annotated[
        str,
        typer.Option(
            help="Images to write: as-seen (as the judges saw them), original (unchanged), or none (paths only).",
            metavar="WHICH",
        ),
    ] = "as-seen",
    no_images: Annotated[bool, typer.Option("--no-images", hidden=True, help="The same as --images none.")] = False,
    shard_mb: Annotated[
        int, typer.Option(min=1, help="Maximum shard size in megabytes (hf and webdataset).", metavar="N")
    ] = 500,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Split each conversation into one record per question and answer, each with the row's image.",
        ),
    ] = False,
    removed: Annotated[
        bool,
        typer.Option(
            "--removed",
            help="Also export rows that have been removed from the input since the run. Default: leave them out.",
        ),
    ] = False,
    license: Annotated[  # noqa: A002
        str, typer.Option(help="License named in the data set card (hf).", metavar="LICENSE")
    ] = "other",
) -> None:
    """Export runs as a training data set.

    The data set contains the records of one or more runs; see docs/export.md.
    """
    from oasis_ray.export.export import export as write_export
    from oasis_ray.export.options import read_options

    options = read_options(
        form, split=split, caps=cap or (), dedup=dedup, mix=mix or (), seed=seed, limit=limit,
        images="none" if no_images else images,
        shard_mb=shard_mb, license=license, removed=removed, pairs=pairs,
    )  # fmt: skip
    result = write_export(run_folders, folder, options)
    records = next(iter(result.splits.values()))
    table = Table("split", *(Column(name, justify="right") for name in records), show_edge=False)
    for name, kinds in result.splits.items():
        table.add_row(name, *map(str, kinds.values()))
    out.print(table)
    table = Table("files", *(Column(head, justify="right") for head in ("number", "bytes")), show_edge=False)
    for name, (count, size) in result.files.items():
        table.add_row(name, str(count), f"{size:,}")
    out.print(table)
    for reason, rows in result.left_out.items():
        out.print(f"left out: {counted(rows, 'row')}, {reason}", soft_wrap=True)
    for note in result.notes:
        out.print(f"note: {note}", soft_wrap=True)
    rate = result.rows / max(result.seconds, 1e-6)
    out.print(
        f"{counted(result.rows, 'row')} in {result.seconds:.1f} s ({rate:.0f} rows/s) at {folder}", soft_wrap=True
    )
