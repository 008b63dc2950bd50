"""Runs made by hand that have a bill, as probes and the runs after them have."""

from collections.abc import Callable
from typing import Any

from oasis_ray.cost.bill import bill, spent_by
from oasis_ray.job.prices import Prices
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest, summary
from oasis_ray.recipe.row import Row
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected

PRICES = Prices(currency="EUR", gpu_hour=2.0, gpus={"H100": 3.0})
SESSION = {
    "name": "1a2b", "rows": 0, "seconds_loading": 20.0, "seconds": 60.0, "seconds_of_rows": 50.0, "rows_at_once": 8.0,
    "engine_seconds": {"vlm": 60.0, "llm": 60.0}, "gpu_seconds": {"vlm": 240.0, "llm": 0.0}, "gpus": ["H100"],
    "peak_memory_mib": 4000,
}  # fmt: skip
Make = Callable[..., RunFolder]


def kinds(count: int) -> list[Row]:
    """Rows of which four of ten are accepted, two captions, three rejected and one failed."""
    made = []
    for place in range(count):
        name, kind = f"r{place}", place % 10
        if kind < 4:
            made.append(accepted(name))
        elif kind < 6:
            made.append(caption(name))
        else:
            made.append(rejected(name, "nonsense" if kind < 8 else "clarity") if kind < 9 else failed(name))
    return made


def close(folder: RunFolder, count: int, **session: Any) -> dict[str, Any]:
    """End a run made by hand as a run ends: its manifest."""
    folder.part("x-0", *kinds(count))
    tally, sessions = counts_of(str(folder.path)), [{**SESSION, "rows": count, **session}]
    pools = {node.name: node.pool for node in folder.recipe.nodes}
    made = bill(tally, pools, spent_by(sessions, PRICES), PRICES.currency)
    folder.manifest(sessions=sessions, **summary(tally, folder.recipe.outcomes), bill=made.model_dump(mode="json"))
    return read_manifest(str(folder.path))
