"""The graph through real Ray Data: what its driver keeps of rows that have passed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.data._internal.execution.execution_callback import ExecutionCallback

from tests.support.jobs import execute
from tests.support.shards import picture, shard

ROWS = 60


class Look(ExecutionCallback):
    """Notes of how many blocks the driver keeps something, at most."""

    most = 0

    def on_execution_step(self, executor: Any) -> None:
        kept = [len(blocks) for operator in executor._topology for blocks in operator.get_stats().values()]
        Look.most = max(Look.most, sum(kept))


def test_the_driver_keeps_nothing_of_batches_that_have_passed(
    ray_cluster: None, tmp_path: Path, job_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(tmp_path / "shards/a.parquet", [{"id": f"good-{at}", "bytes": picture()} for at in range(ROWS)])
    monkeypatch.setenv("RAY_DATA_EXECUTION_CALLBACKS", f"{__name__}.Look")
    execute(job_file(rows_per_task=1, executor="ray"))
    assert 0 < Look.most < ROWS / 2  # it looks before they are let go; of each row two blocks pass
