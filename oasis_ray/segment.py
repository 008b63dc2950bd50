"""A segment: one operator of the graph, whose workers carry each row through the nodes as a coroutine.

A packet comes in, its rows go their ways at the same time, and a packet of ended rows goes out, in input order. Many
packets are in flight in each worker, so the engines never wait for a slow row. The order within a packet is fixed:
Ray replays a lost task by position, and rows that come back in another order would be lost and doubled.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from oasis_ray.errors import RowError
from oasis_ray.image import admit
from oasis_ray.job import Job, expand
from oasis_ray.node import Asked, NodeRunner, drawn
from oasis_ray.recipe import Recipe
from oasis_ray.rows import Divert, Image, Route
from oasis_ray.schema import Ended, packet


@dataclass
class Segment:
    """Carries rows through all nodes of a recipe. Ray Data makes one in each worker, from these values."""

    job: Job
    recipe: Recipe
    pools: Mapping[str, Asked]
    digests: Mapping[str, str]
    tally: Any = None

    def __post_init__(self) -> None:
        self._runners = [
            NodeRunner(
                node, self.pools[node.pool] if node.pool else None, self.digests[node.name], self.job.seed, -place
            )
            for place, node in enumerate(self.recipe.nodes)
        ]

    async def __call__(self, batch: pa.Table) -> AsyncIterator[pa.Table]:
        """One packet of rows in, one packet of ended rows out."""
        for rows in batch.column("rows"):
            ended = await asyncio.gather(*(self.carry(row) for row in rows.as_py()))
            if self.tally is not None:
                self.tally.add.remote([(row.fate, row.node, row.reason, row.lineage) for row in ended])
            yield packet(ended, self.recipe, keep_images=self.job.output.keep_images)

    async def carry(self, row: Mapping[str, Any]) -> Ended:
        """One row from the source to its end."""
        ended = Ended(row["id"], row["source"], row.get("image"), None)
        source: dict[str, Any] = dict(row.get("texts") or {})
        if self.job.input.image is not None:
            try:
                image = await asyncio.to_thread(self._admit, row["image"])
            except RowError as error:
                return settle(ended, "admit", Divert(Route.FAILED, error.reason, error.detail))
            source["image"], ended.digest = image, image.digest
            ended.image = {"bytes": image.data, "path": (row["image"] or {}).get("path")}
        await walk(ended, source, self._runners, in_full=drawn(self.job.seed, ended.id, self.job.score_in_full))
        return ended

    def _admit(self, image: Mapping[str, Any] | None) -> Image:
        data, path = (image or {}).get("bytes"), (image or {}).get("path")
        if data is None and path and self.job.input.root is not None:
            data = fetch(self.job.input.root, path, self.job.input.limits.max_bytes)
        return admit(data, self.job.input.limits)


# What an operating system answers to a path that leads to no file: absent, a folder, too long, links in a circle.
NO_SUCH_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}


async def walk(ended: Ended, source: Mapping[str, Any], runners: list[NodeRunner], *, in_full: bool) -> None:
    """Take a row through the nodes of its route until one sends it to an end, or none is left.

    A row that is drawn to be scored in full goes on past a judge that rejects it, as far as the judges go; it still
    ends by the first of them, so the accepted set is the same.
    """
    first: tuple[str, Divert] | None = None
    for runner in runners:
        node = runner.node
        if node.route is not ended.route:
            continue
        if first is not None and not node.stage.judges:
            break
        result = await runner.run(ended, source)
        if not isinstance(result, Divert):
            ended.values[node.name] = result
            continue
        if result.out is not None:
            ended.values[node.name] = result.out
        if result.route is Route.REJECTED and node.stage.judges and in_full:
            first = first or (node.name, result)
        elif first is None:
            settle(ended, node.name, result)
    ended.in_full = in_full and any(runner.node.stage.judges and runner.node.name in ended.values for runner in runners)
    if first is not None:
        settle(ended, *first)


def settle(ended: Ended, node: str, divert: Divert) -> Ended:
    """Send a row where `divert` says, with the node and the reason."""
    ended.route, ended.node, ended.reason, ended.detail = divert.route, node, divert.reason, divert.detail
    return ended


def fetch(root: str, path: str, max_bytes: int) -> bytes:
    """The image file at `path` below `root`, one byte more than allowed at most.

    Raises RowError: `image_path` where the path leads out of the root, `image_missing` where there is no such file.
    """
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or "://" in path:
        raise RowError("image_path", f"{path!r} is not a path below input.root")
    fs, base = fsspec.core.url_to_fs(expand(root))
    place = f"{base.rstrip('/')}/{path}"
    if fs.protocol == "file" or "file" in fs.protocol:
        inside = os.path.realpath(place).startswith(os.path.realpath(base).rstrip(os.sep) + os.sep)
        if not inside:
            raise RowError("image_path", f"{path!r} is a link that leads out of input.root")
    try:
        with fs.open(place, "rb") as stream:
            data: bytes = stream.read(max_bytes + 1)
    except OSError as error:
        if error.errno not in NO_SUCH_FILE and not isinstance(error, FileNotFoundError):
            raise
        raise RowError("image_missing", f"there is no file {path!r} below input.root") from None
    return data
