"""A run in phases that is told to stop in one of them."""

import re
import signal
from pathlib import Path

from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.cluster import Cluster
from tests.support.command import call_here
from tests.support.in_phases import end_in_a_phase, write_at_once, write_phased, write_shards
from tests.support.jobs import execute, made


def test_a_run_that_is_stopped_in_a_phase_goes_on_in_it(ray_cluster: Cluster, tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    (tmp_path / "once").mkdir()
    execute(write_at_once(tmp_path / "once", shards))
    at_once = made(tmp_path / "once/run")
    path = write_phased(tmp_path, shards)
    assert end_in_a_phase(path, signal.SIGTERM) == 1
    assert sum(map(len, made(tmp_path / "run").values())) < sum(map(len, at_once.values()))
    again = call_here("run", path)
    assert again.returncode == 0, again.stderr
    assert re.search(r"resuming: \d+ of 52 rows had ended before, \d+ more wait for a later phase\n", again.stdout)
    assert "phase 1 of 3" not in again.stdout
    assert made(tmp_path / "run") == at_once
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["loads"] == {"vlm": 1, "llm": 1}
    assert audit(str(tmp_path / "run")).faults == []
