"""Model folders: whether the folders that a job names as models are there and can be loaded without running code."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from oasis_ray.job.pool import Pool
from oasis_ray.job.security import refuse_pickles


def folder_problems(pools: Mapping[str, Pool]) -> Iterator[str]:
    """Yield what is wrong with the model folders of these pools on this machine. Ids on the hub are not looked up."""
    for name, pool in pools.items():
        if pool.backend != "vllm" or "://" in pool.model:
            continue
        folder = Path(pool.model).expanduser()
        looks_local = pool.model.startswith((".", "/", "~")) or pool.model.count("/") > 1
        if looks_local and not (folder / "config.json").is_file():
            missing = f"there is no model folder {str(folder)!r} (a folder with config.json) on this machine"
            yield f"pools.{name}: model: {missing}"
            continue
        try:
            refuse_pickles(folder)
        except ValueError as error:
            yield f"pools.{name}: {error}"
