"""The `input` key of a job: where the rows are, which columns they have, and which of them are taken."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oasis_ray.job.limits import Limits
from oasis_ray.job.security import without_secret


class Sample(BaseModel):
    """Some rows of the input, drawn by chance: the same ones for the same seed and ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1, description="How many; all of them where the input has no more.")
    seed: int = Field(0, ge=0, description="Which ones.")


class Input(BaseModel):
    """Where the rows come from: Parquet shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        description="A Parquet file, a glob, a folder, or a URL of one: docs/run-folder.md says what is read."
    )
    id: str | None = Field(
        None, description="The column of ids; left out, an id is made of file (below `path`), row group, row."
    )
    image: str | None = Field(
        "image",
        description="The column of images: bytes, `struct<bytes, path>`, or a path below `root`. null: no images.",
    )
    root: str | None = Field(None, description="The folder of images that are given as paths; no path leads out of it.")
    links: tuple[str, ...] = Field(
        (), description="Further folders that links below `root` may lead into, such as the hub's cache."
    )
    origin: str | None = Field(
        None, description="A text column that says where a picture comes from; reports and exports count by it."
    )
    columns: tuple[str, ...] = Field((), description="Text columns that the recipe reads as `source.<column>`.")

    repeated_ids: Literal["error", "number"] = Field(
        "error", description="An id that comes twice: refuse the input, or call the second one `id#2`."
    )
    sample: Sample | None = Field(
        None, description="Only so many rows, spread over all shards: `{rows: 200}`. It is what `plan --probe` sets."
    )
    limits: Limits = Field(default_factory=Limits, description="What an image may be.")

    _no_secret = field_validator("path", "root")(without_secret)

    @model_validator(mode="after")
    def _one_image(self) -> "Input":
        if self.image is not None and "image" in self.columns:
            raise ValueError("columns: `source.image` is the row's picture; give the text column another name")
        return self
