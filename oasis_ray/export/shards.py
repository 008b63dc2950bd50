"""Shards that contain their images: Parquet for `datasets` and tar files for WebDataset.

A shard is closed when it has reached its size, so it exceeds it by at most one row group or row.
"""

import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.export.messages import as_json

GROUP_ROWS = {True: 100, False: 1000}  # with and without images, as `datasets` itself writes


def features(structs: Mapping[str, pa.StructType], *, packed: bool) -> Any:
    """Return the `datasets.Features` of a row; `image` is an image, or the path of one that is not exported.

    structs: the types of `scores` and `columns`, if rows have them.
    """
    import datasets

    text = datasets.Value("string")
    given = datasets.Features.from_arrow_schema(pa.schema(dict(structs)))
    return datasets.Features(
        {
            "id": text,
            "image": datasets.Image() if packed else text,
            "conversations": datasets.List({"from": text, "value": text}),
            "data_source": text, "instruction": text, "response": text,
            **given,
            "origin": text, "language": text, "run": text, "image_sha256": text,
        }
    )  # fmt: skip


def write_parquet(
    folder: Path, split: str, tables: Iterator[pa.Table], schema: pa.Schema, shard_bytes: int, *, packed: bool
) -> None:
    """Write rows to `data/SPLIT-00000.parquet` and following files."""
    (folder / "data").mkdir(exist_ok=True)
    groups, number = _groups(tables, GROUP_ROWS[packed]), 0
    group = next(groups, None)
    while group is not None:
        with (
            (folder / f"data/{split}-{number:05d}.parquet").open("wb") as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            while group is not None and stream.tell() < shard_bytes:
                writer.write_table(_as_loaded(group, schema))
                group = next(groups, None)
        number += 1


def _as_loaded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the column `image` as `datasets` stores it."""
    if "bytes" in table.column_names:
        data = table.column("bytes").combine_chunks().cast(pa.binary())
        names = [name and name.rpartition("/")[2] for name in table.column("image").to_pylist()]
        parts = [data, pa.array(names, pa.string())]
        image: Any = pa.StructArray.from_arrays(parts, names=["bytes", "path"], mask=data.is_null())
    else:
        image = table.column("image")
    columns = [image if name == "image" else table.column(name) for name in schema.names]
    return pa.table(columns, names=schema.names).cast(schema)


def write_tars(folder: Path, split: str, tables: Iterator[pa.Table], shard_bytes: int) -> None:
    """Write rows to `data/SPLIT-00000.tar` and following files: for each row a `.json` file and its image.

    A row's key is its position in the export, in ten digits; its id may contain any character and is in the JSON.
    Source: WebDataset, "The WebDataset Format": files with the same name up to the first dot are one sample.
    """
    (folder / "data").mkdir(exist_ok=True)
    rows = (row for table in tables for row in table.to_pylist())
    row, number = next(rows, None), 0
    while row is not None:
        path = folder / f"data/{split}-{number:05d}.tar"
        with path.open("wb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            while row is not None and stream.tell() < shard_bytes:
                key, data, image = f"{row.pop('position'):010d}", row.pop("bytes", None), row.pop("image")
                if data is not None:
                    _add(tar, f"{key}.{image.rpartition('.')[2]}", data)
                elif image:
                    row["image"] = image
                _add(tar, f"{key}.json", as_json(row).encode())
                row = next(rows, None)
        number += 1


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # without owner and time, so that the same rows give the same bytes
    member.size = len(data)
    tar.addfile(member, BytesIO(data))


def _groups(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of `rows` rows each; the last one may be smaller."""
    rest: pa.Table | None = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= rows:
            yield rest.slice(0, rows)
            rest = rest.slice(rows)
    if rest is not None and rest.num_rows:
        yield rest
