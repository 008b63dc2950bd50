"""A job file: a recipe, an input, pools and an output, in one YAML. Every key of it is a field of a model here.

The field descriptions are the documentation: `docs/job.md` is written from them.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.job.input import Input
from oasis_ray.job.output import Output
from oasis_ray.job.pool import Pool


class Job(BaseModel):
    """A job file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = Field(description="What is done: the name of a shipped recipe, or the path of a recipe file.")
    input: Input = Field(description="Where the rows come from.")
    output: Output = Field(description="Where the run goes.")
    pools: dict[str, Pool] = Field(description="The models, under the names that the recipe's nodes use.")
    executor: Literal["ray", "local"] = Field(
        "ray",
        description="ray: a Ray cluster, joined or started here. local: this process, one engine per pool, for small "
        "jobs and for debugging. Either resumes a run that the other began: docs/local.md.",
    )
    phases: Literal["off", "auto"] = Field(
        "off",
        description="off: all pools at once. auto: where the cluster can't hold them all, one after another, each with "
        "the rows that have come to it; see docs/cluster.md.",
    )
    seed: int = Field(0, ge=0, description="All randomness of the run is drawn from this.")
    nodes: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Changes to nodes of the recipe, by name: `{helpful: {enabled: true}, hook: {with: {…}}}`.",
    )
    prices: str | None = Field(
        None, description="A file of prices of GPUs, as `cluster/prices.yaml`; without one costs are told in GPU-hours."
    )
    prompts: str | None = Field(None, description="A folder of prompts that is looked into before the shipped ones.")
    score_in_full: float = Field(
        0.02, ge=0, le=1, description="Share of rows that are judged on every axis even after one has rejected them."
    )
    max_failed: int | float = Field(
        0.1,
        ge=0,
        description="More failed rows than this end the run with code 3: a count (20), or a share (0.1) of the rows "
        "that have ended, looked at from 1,000 of them on and at the end.",
    )
    no_progress_s: float = Field(
        1800, gt=0, description="A run in which no request is answered for this long is ended, with what stood where."
    )
    drain_s: float = Field(
        120, gt=0, description="A run that is told to stop lets its rows in flight end, for this long at most."
    )
    rows_in_flight: int = Field(128, ge=1, description="Rows that are worked on at once, at most.")
    rows_per_task: int = Field(8, ge=1, le=64, description="Rows that one task of Ray Data carries.")
    workers: int = Field(1, ge=1, description="Processes that carry rows from node to node.")

    @field_validator("phases", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, value: Any) -> Any:
        return "off" if value is False else value

    @field_validator("max_failed")
    @classmethod
    def _a_share_is_one_at_most(cls, value: int | float) -> int | float:
        if isinstance(value, float) and value > 1:
            raise ValueError(f"a share is 1.0 at most, not {value}; write a count as a whole number")
        return value

    def failures_allowed(self, rows: int) -> float:
        """How many of `rows` may fail."""
        return self.max_failed * rows if isinstance(self.max_failed, float) else self.max_failed
