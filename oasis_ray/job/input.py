"""The `input` key of a job: where the rows are, which columns they have, and which rows to use."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oasis_ray.job.limits import Limits
from oasis_ray.job.security import without_secret


class Sample(BaseModel):
    """A random sample of the input: the same rows for the same seed and ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1, description="Number of rows; all rows if the input has fewer.")
    seed: int = Field(0, ge=0, description="Random seed of the sample.")


class Input(BaseModel):
    """The input of a run: Parquet shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        "",
        description="A Parquet file, a glob or a folder, local or a URL. docs/run-folder.md says which files are read.",
    )
    rows: int | None = Field(
        None, ge=1, description="Number of rows, for a recipe that reads nothing from the input; in place of `path`."
    )
    id: str | None = Field(
        None, description="Column of ids. Default: ids are made of file (relative to `path`), row group and row."
    )
    image: str | None = Field(
        "image",
        description="Column of images: bytes, `struct<bytes, path>`, or paths relative to `root`. null: no images. "
        "Not read where the recipe uses no image.",
    )
    root: str | None = Field(None, description="Base folder of image paths. Paths that lead out of it are rejected.")
    links: tuple[str, ...] = Field(
        (), description="Further folders that symbolic links below `root` may point into, such as the cache of the hub."
    )
    origin: str | None = Field(
        None, description="Text column with the source of each image. Reports and exports count rows by it."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Columns of the recipe's values where the names differ: `{question: q}`; `a.b` is the field `b` of "
        "the struct `a`. For a recipe without `source`: a list of text columns that it can use as `source.<column>`.",
    )
    keep: tuple[str, ...] | Literal["all"] = Field(
        (),
        description="Columns to keep in the records' column `columns`, by name; `all`: every column but id, image and "
        "origin.",
    )
    repeated_ids: Literal["error", "number"] = Field(
        "error", description="Duplicate ids. error: reject the input. number: rename the second one to `id#2`."
    )
    sample: Sample | None = Field(
        None, description="Use a random sample of the rows of all shards: `{rows: 200}`. `plan --probe` sets this."
    )
    limits: Limits = Field(default_factory=Limits, description="Limits on images.")

    _no_secret = field_validator("path", "root")(without_secret)

    @field_validator("columns", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return {str(name): str(name) for name in value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _image_is_no_text_column(self) -> "Input":
        if self.image is not None and "image" in self.columns:
            raise ValueError("columns: `source.image` is the row's image, named by `image`; rename the text column")
        if bool(self.path) == (self.rows is not None):
            raise ValueError("path: name the input, or give a number of `rows` for a recipe that reads no input")
        return self
