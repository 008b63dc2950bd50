"""Apply a worker to every item of a list as a Ray Data job. The only module of the report that imports Ray.

Memory does not grow with the number of rows: a worker holds one batch of rows and its result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ray
from ray.data import ActorPoolStrategy, DataContext

from oasis_ray.cluster import connection
from oasis_ray.errors import JobError

T = TypeVar("T")
R = TypeVar("R")


class OneByOne:
    """Adapter that Ray Data calls with batches of one item."""

    def __init__(self, worker: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
        self._worker = worker(*arguments)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Apply the worker to the item of a batch, and return its result or JobError."""
        (item,) = batch["item"]
        try:
            return {"result": [self._worker(item)]}
        except JobError as error:
            return {"result": [error]}  # returned, because Ray would wrap a raised one in a long traceback


def apply_on_ray(
    worker: Callable[..., Callable[[T], R]], arguments: tuple[Any, ...], items: Sequence[T]
) -> Iterator[R]:
    """Apply up to one worker per CPU of the cluster. Joins the cluster, or starts one on this machine."""
    if not items:
        return
    connection.join()
    DataContext.get_current().enable_progress_bars = False
    workers = max(1, min(len(items), int(ray.cluster_resources().get("CPU", 1))))
    results = ray.data.from_items([{"item": item} for item in items], override_num_blocks=len(items)).map_batches(
        OneByOne,
        fn_constructor_args=(worker, arguments),
        batch_size=1,
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
    )
    for row in results.iter_rows():
        if isinstance(row["result"], JobError):
            raise row["result"]
        yield row["result"]
