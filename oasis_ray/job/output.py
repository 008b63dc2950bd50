"""The `output` key of a job: the run folder."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.job.security import without_secret


class Output(BaseModel):
    """The run folder, and how it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="The run folder: a path (relative to the working directory), or an fsspec URL.")
    rows_per_part: int = Field(512, ge=1, description="Rows per part file.")
    keep_images: bool = Field(False, description="Keep the images of rejected and failed rows too.")

    _no_secret = field_validator("path")(without_secret)

    nodes: Literal["all", "none"] = Field(
        "all",
        description="all: the output of each node is kept in the column `nodes`. none: it is left out, for smaller "
        "parts; a report then has no shares of scores, and `browse` no replies.",
    )

    @property
    def folder(self) -> str:
        """The path of the run folder, without a slash at its end."""
        return self.path.rstrip("/")
