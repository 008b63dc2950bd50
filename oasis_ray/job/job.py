"""Models of a job file: recipe, input, pools and output in one YAML file. Every key is a field of a model.

The field descriptions are the documentation: the tables of `docs/job.md` are generated from them.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.job.input import Input
from oasis_ray.job.output import Output
from oasis_ray.job.pool import Pool


class Job(BaseModel):
    """A job file: recipe, input, pools and output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = Field(description="Name of a shipped recipe, or path of a recipe file.")
    input: Input = Field(description="The input rows.")
    output: Output = Field(description="The run folder.")
    pools: dict[str, Pool] = Field(description="The models, by the pool names that the recipe's nodes use.")
    executor: Literal["ray", "local"] = Field(
        "ray",
        description="ray: a Ray cluster, joined or started on this machine. local: this process, one engine per pool, "
        "for small jobs and debugging. Either resumes runs of the other: docs/local.md.",
    )
    phases: Literal["off", "auto"] = Field(
        "off",
        description="off: all pools run at once. auto: if the cluster can't hold all pools, they run one by one, "
        "each on the rows that have reached it; see docs/cluster.md.",
    )
    seed: int = Field(0, ge=0, description="Random seed of the run.")
    nodes: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Changes to nodes of the recipe, by node name: `{helpful: {enabled: true}, hook: {with: {…}}}`.",
    )
    prices: str | None = Field(
        None, description="File of GPU prices, such as `cluster/prices.yaml`. Default: costs are given in GPU-hours."
    )
    prompts: str | None = Field(None, description="Folder of prompts, searched before the shipped prompts.")
    score_in_full: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of rows that are fully scored: all judges score them, even after a rejection.",
    )
    max_failed: int | float = Field(
        0.1,
        ge=0,
        description="Maximum failed rows; beyond it the run stops with exit code 3. A count (20), or a share (0.1) of "
        "the rows that have ended, which is checked from 1,000 rows on and at the end.",
    )
    no_progress_s: float = Field(
        1800,
        gt=0,
        description="Stop the run if for this long no request is answered and no row ends. The message says where rows "
        "were waiting.",
    )
    drain_s: float = Field(
        120, gt=0, description="Maximum time to drain: to let the rows in flight end when the run is asked to stop."
    )
    rows_in_flight: int = Field(128, ge=1, description="Maximum rows in flight.")
    rows_per_task: int = Field(8, ge=1, le=64, description="Rows per Ray Data task.")
    workers: int = Field(1, ge=1, description="Worker processes, which carry rows from node to node.")

    @field_validator("phases", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, value: Any) -> Any:
        return "off" if value is False else value

    @field_validator("max_failed")
    @classmethod
    def _share_is_at_most_one(cls, value: int | float) -> int | float:
        if isinstance(value, float) and value > 1:
            raise ValueError(f"a share is at most 1.0, not {value}; write a count as an integer")
        return value

    def failures_allowed(self, rows: int) -> float:
        """Return how many of `rows` may fail."""
        return self.max_failed * rows if isinstance(self.max_failed, float) else self.max_failed
