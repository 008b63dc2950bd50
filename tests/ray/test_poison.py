"""Rows that end processes of Ray whenever they are worked on: real engines and workers that die."""

import os
from collections.abc import Callable
from pathlib import Path

from oasis_ray.content.stages.hook import Out as Text

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import Shipped, load_job
from oasis_ray.output.audit import audit
from oasis_ray.run.run import Run
from oasis_ray.stage import RowStage
from tests.support.cluster import Cluster
from tests.support.jobs import outcomes, rows, rows_of, scripted

RECIPE = """
name: fatal
nodes:
  - {name: hook, stage: hook, pool: vlm, inputs: {image: source.image}}
  - {name: fatal, stage: fatal, inputs: {text: hook.text, truncated: hook.truncated}}
  - {name: categorize, stage: categorize, pool: llm, inputs: {text: hook.text}, with: {prompt: categorize}}
  - {name: clean, stage: clean, route: caption, inputs: {text: hook.text}}
records:
  accepted: {data_source: fatal, instruction: fatal.text, response: categorize.instruction, scores: {}}
  captions: {route: caption, data_source: fatal, instruction: fatal.text, response: clean.text}
"""


class Fatal(RowStage[Text, Text]):
    """A step that ends the worker's process on some rows, as a decoder with a fault in it would."""

    def apply(self, row: Text) -> Text:
        if "fatal" in row.text:
            os._exit(1)
        return row


def test_rows_that_end_every_engine_or_every_worker_end_in_failed_poison_and_the_rest_goes_on(
    ray_cluster: Cluster, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, "good", "poison", "good-2", "fatal", "caption")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    shipped = Shipped({**SHIPPED.stages, "fatal": Fatal}, SHIPPED.recipes, SHIPPED.prompts)
    path = job_file(recipe=str(tmp_path / "recipe.yaml"), pools=scripted("fragile"), rows_per_task=2, executor="ray")
    Run(*load_job(path, shipped)).execute()
    assert outcomes(tmp_path / "run") == {
        "accepted": ["good", "good-2"], "captions": ["caption"], "failed": ["fatal", "poison"],
    }  # fmt: skip
    failed = rows_of(tmp_path / "run", "failed")
    assert [(row["id"], row["node"], row["reason"]) for row in failed] == [
        ("fatal", "worker", "poison"), ("poison", "categorize", "poison"),
    ]  # fmt: skip
    assert failed[1]["error"].startswith("pool 'llm' failed every time it processed this row, ")
    assert audit(str(tmp_path / "run")).faults == []
