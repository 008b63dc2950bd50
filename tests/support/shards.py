"""Pictures and the shards that hold them."""

import io
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.input.columns import IMAGE


def picture(colour: str = "teal", size: tuple[int, int] = (112, 112), kind: str = "PNG", **options: Any) -> bytes:
    """An encoded picture of one colour."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def shard(path: Path, rows: list[dict[str, Any]], row_group_size: int = 4) -> Path:
    """A shard with columns id and image (bytes and path) of rows {id, bytes}."""
    table = pa.table(
        {
            "id": pa.array([row["id"] for row in rows], pa.string()),
            "image": pa.array([{"bytes": row["bytes"], "path": row.get("path")} for row in rows], IMAGE),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    return path
