"""Write the tables of docs/*.md from the code: `make docs`. A test holds that they are up to date.

A page marks a table's place with `<!-- fields: Pool -->` or `<!-- columns: accepted -->` … `<!-- end -->`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from oasis_ray.cli import SHIPPED
from oasis_ray.job.engine_type import EngineType
from oasis_ray.job.input import Input, Sample
from oasis_ray.job.job import Job
from oasis_ray.job.latency import Latency
from oasis_ray.job.limits import Limits
from oasis_ray.job.load import load_job
from oasis_ray.job.output import Output
from oasis_ray.job.pool import Pool
from oasis_ray.job.prices import Prices
from oasis_ray.output.schema import columns
from oasis_ray.recipe.spec import NodeSpec, RateSpec, RecipeSpec, RecordSpec, RecordsSpec
from oasis_ray.report.statistics import Statistics
from oasis_ray.types import Outcome, Sampling

EXAMPLE = Path(__file__).parents[1] / "cluster/jobs/small.yaml"
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        Job, Input, Sample, Limits, Output, Pool, EngineType, Latency, Sampling,
        RecipeSpec, NodeSpec, RecordsSpec, RecordSpec, RateSpec, Prices,
    )
}  # fmt: skip
COLUMNS = {
    "id": "The row's id: from the input's id column, else `file:row group:row`, the file as named below `input.path`.",
    "image": "The picture as it came. In rejected and failed rows only with `output.keep_images`.",
    "origin": "Where the picture comes from: the text of the column `input.origin`, where the job names one.",
    "conversations": "The human's turn, which begins with `<image>`, and the assistant's.",
    "data_source": "The kind of record, from the recipe: `oasis` or `oasis_caption`.",
    "instruction": "What is asked.",
    "response": "What is answered; in `captions`, the cleaned caption.",
    "scores": "The judges' scores, 1 to 5, by axis.",
    "node": "The node at which the row left; `admit` where its image was refused.",
    "reason": "Why, as one fixed word.",
    "detail": "The text that shows why, such as the judge's reply.",
    "error": "What was seen: the reply that could not be read, the decoder's message.",
    "nodes": "What each node wrote, by node; null where the row did not come to it.",
    "lineage": "One entry a request: node, its digest (see `run.json`), seed, tokens read (and of these cached), "
    "tokens written, when it was asked (`started`, Unix seconds) and how long it was waited for (`seconds`), which "
    "engine answered and how long it had the request (`engine_seconds`), and how the reply ended.",
    "scored_in_full": "True where the row was drawn to be judged on every axis (`score_in_full`).",
    "image_sha256": "The SHA-256 of the image's bytes.",
    "source": "Where the row stands in the input: shard, row group, row.",
}
MARK = re.compile(r"(<!-- (fields|columns): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fields(model: type[BaseModel]) -> str:
    """A model's fields as a table."""
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = _kind(field.annotation)
        lines.append(f"| `{field.alias or name}` | {kind} | {_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    text = re.sub(r"Annotated\[(\w+), FieldInfo\(.*\)\]", r"\1", text)
    text = re.sub(r"(typing|oasis_ray(\.[a-z]\w*)+)\.", "", text).replace("NoneType", "None")
    text = re.sub(r"Literal\[(.*?)\]", lambda found: " or ".join(found[1].replace("'", "").split(", ")), text)
    return text.replace("|", "or")


def _default(field: Any) -> str:
    if field.default_factory is not None:
        value = field.default_factory()
        return "see below" if isinstance(value, BaseModel) else f"`{value}`"
    if field.default is PydanticUndefined:
        return "required"
    return "" if field.default is None else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parts(outcome: str) -> str:
    """The columns of an outcome's parts, of the recipe oasis."""
    schema = columns(load_job(EXAMPLE, SHIPPED)[1], Outcome(outcome))
    lines = ["| column | type | |", "|---|---|---|"]
    lines += [f"| `{column.name}` | {_type(column.type)} | {COLUMNS[column.name]} |" for column in schema]
    return "\n".join(lines) + "\n"


def _type(kind: pa.DataType) -> str:
    text = str(kind)
    return f"`{text}`" if len(text) < 60 else f"`{text.split('<')[0]}<…>`"


def written(page: str) -> str:
    """A page with its tables as the code says them now."""

    def table(mark: re.Match[str]) -> str:
        return mark[1] + (fields(MODELS[mark[3]]) if mark[2] == "fields" else parts(mark[3])) + mark[4]

    return MARK.sub(table, page)


def schema() -> str:
    """The schema of a report's statistics.json."""
    return json.dumps(Statistics.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "statistics.schema.json").write_text(schema(), encoding="utf-8")
    for path in sorted(Path(__file__).parent.glob("*.md")):
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
