"""The `output` key of a job: the run folder."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.job.security import without_secret


class Output(BaseModel):
    """Where the run's folder is, and how it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="The run's folder, local or an fsspec URL. Relative paths: to the working directory.")
    rows_per_part: int = Field(512, ge=1, description="Rows that are gathered before a part is written.")
    keep_images: bool = Field(False, description="Write the images of rejected and failed rows too.")

    _no_secret = field_validator("path")(without_secret)
