"""Generates the tables of docs/*.md from the code: `make docs`. A test checks that they are up to date.

A table in a page stands between a mark, `<!-- fields: Pool -->`, `<!-- columns: accepted -->`,
`<!-- subpackages: all -->`, `<!-- stages: all -->` or `<!-- parameters: all -->`, and `<!-- end -->`.
"""

import ast
import inspect
import json
import re
import sys
from dataclasses import MISSING
from dataclasses import fields as dataclass_fields
from functools import reduce
from operator import or_
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from oasis_ray.cli import SHIPPED
from oasis_ray.job.gpu_type import EngineType
from oasis_ray.job.input import Input, Sample
from oasis_ray.job.job import Job
from oasis_ray.job.latency import Latency
from oasis_ray.job.limits import Limits
from oasis_ray.job.load import load_job
from oasis_ray.job.output import Output
from oasis_ray.job.pool import Pool
from oasis_ray.job.prices import Prices
from oasis_ray.output.schema import columns
from oasis_ray.recipe.source import KINDS
from oasis_ray.recipe.spec import NodeSpec, Published, RateSpec, RecipeSpec, RecordSpec
from oasis_ray.report.statistics import Statistics
from oasis_ray.stage import ModelStage, Stage
from oasis_ray.stage.signature import contract, inputs_of, slots_of, types_of
from oasis_ray.types import Sampling

EXAMPLE = Path(__file__).parents[1] / "cluster/jobs/small.yaml"
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        Job, Input, Sample, Limits, Output, Pool, EngineType, Latency, Sampling,
        RecipeSpec, NodeSpec, RecordSpec, RateSpec, Published, Prices,
    )
}  # fmt: skip
COLUMNS = {
    "id": "The row's id: from the input's id column, else `file:row group:row`, the file below `input.path`.",
    "image": "The image, unchanged. For rejected and failed rows only with `output.keep_images`.",
    "origin": "The origin of the image: the value of the column `input.origin`, if the job names one.",
    "conversations": "The user's turn, which begins with `<image>`, and the assistant's.",
    "data_source": "The kind of record, from the recipe: `oasis` or `oasis_caption`.",
    "instruction": "The user's text.",
    "response": "The answer; in `captions`, the cleaned caption.",
    "scores": "The scores that the recipe names for this record, by axis: integers or numbers.",
    "node": "The node at which the row left; `admit` where its image was refused.",
    "reason": "The reason, one of a fixed list of words.",
    "detail": "The text that shows the reason, such as the judge's reply.",
    "error": "The evidence: the reply that could not be parsed, or the decoder's message.",
    "nodes": "The output of each node, by node; null for nodes that the row did not reach.",
    "lineage": "One entry per request: node, its digest (see `run.json`), seed, prompt tokens and how many were "
    "cached, output tokens, when it was sent (`started`, Unix seconds), how long the worker waited (`seconds`), which "
    "engine answered and how long it had the request (`engine_seconds`), and how the reply ended (`finish`).",
    "scored_in_full": "True if the row was drawn to be judged on every axis (`score_in_full`).",
    "image_sha256": "The SHA-256 of the image's bytes.",
    "source": "The row's address in the input: shard, row group, row.",
    "moves": "The row's changes of route: the node, the new route, the reason and the detail; these two are empty "
    "where the row passed a node with `to`.",
}
# The types of inputs and outputs, as recipes write them, and those that no source has.
WORDS = {kind: word for word, kind in KINDS.items()} | {
    bool: "yes or no",
    list[bool]: "list of yes or no",
    dict[str, int]: "integers by name",
}
# Each may import only those to its left (tests/test_layering.py), and `cli` the shipped content.
SUBPACKAGES = (
    "cluster stage recipe job input engine stats output pool cost export explore pipeline report run cli content"
)
MARK = re.compile(r"(<!-- (fields|columns|subpackages|stages|parameters): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fields(model: type[BaseModel]) -> str:
    """Return a model's fields as a table."""
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = _kind(field.annotation)
        lines.append(f"| `{field.alias or name}` | {kind} | {_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: Any) -> str:
    annotation = _bare(annotation)
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    text = re.sub(r"Annotated\[(\w+), FieldInfo\(.*\)\]", r"\1", text)
    text = re.sub(r"(typing|oasis_ray(\.[a-z]\w*)+)\.", "", text).replace("NoneType", "None")
    text = re.sub(r"Literal\[(.*?)\]", lambda found: " or ".join(found[1].replace("'", "").split(", ")), text)
    return text.replace("|", "or")


def _bare(annotation: Any) -> Any:
    """Return an annotation without the constraints of `Annotated`, also in unions and mappings."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return reduce(or_, map(_bare, get_args(annotation)))
    if get_origin(annotation) is dict:
        return dict[tuple(map(_bare, get_args(annotation)))]  # type: ignore[misc]
    return annotation


def _default(field: Any) -> str:
    if field.default_factory is not None:
        value = field.default_factory()
        return "see below" if isinstance(value, BaseModel) else f"`{value}`"
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, Sampling):
        return (
            ", ".join(f"`{key}: {value}`" for key, value in field.default.model_dump(exclude_defaults=True).items())
            or "greedy"
        )
    return "" if field.default in (None, "") else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parts(outcome: str) -> str:
    """Return the columns of an outcome's parts, for the recipe oasis."""
    schema = columns(load_job(EXAMPLE, SHIPPED)[1], outcome)
    lines = ["| column | type | |", "|---|---|---|"]
    lines += [f"| `{column.name}` | {_type(column.type)} | {COLUMNS[column.name]} |" for column in schema]
    return "\n".join(lines) + "\n"


def _type(kind: pa.DataType) -> str:
    text = str(kind)
    return f"`{text}`" if len(text) < 60 else f"`{text.split('<')[0]}<…>`"


def subpackages() -> str:
    """Return the table of subpackages: the rule of each, from the docstring of its `__init__.py`."""
    lines = ["| subpackage | rule |", "|---|---|"]
    for name in SUBPACKAGES.split():
        text = (Path(__file__).parents[1] / f"oasis_ray/{name}/__init__.py").read_text(encoding="utf-8")
        rule = " ".join((ast.get_docstring(ast.parse(text)) or "").split()).removeprefix(f"{name.capitalize()}: ")
        lines.append(f"| `{name}` | {rule[:1].upper()}{rule[1:]} |")
    return "\n".join(lines) + "\n"


def stages() -> str:
    """Return the table of the shipped stages."""
    lines = [
        "| stage | what it does | asks | inputs | outputs | parameters | reasons |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, stage in SHIPPED.stages.items():
        in_type, out_type = contract(stage)
        optional = {field.name for field in dataclass_fields(in_type) if field.default is not MISSING}
        inputs = [_value(key, kind, optional=key in optional) for key, kind in inputs_of(in_type).items()]
        inputs += ["slots"] if slots_of(in_type) else []
        outputs = [_value(key, kind) for key, kind in types_of(out_type).items()]
        asks = "a model" if issubclass(stage, ModelStage) else ""
        parameters = [f"`{field.alias or key}`" for key, field in stage.model_fields.items()]
        named = f"[`{name}`](#{name})" if parameters else f"`{name}`"
        cells = [named, _about(stage), asks, *map(", ".join, (inputs, outputs, parameters)), _reasons(stage)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def parameters() -> str:
    """Return a section of parameters for each shipped stage that has some."""
    return "\n".join(f"### {name}\n\n{fields(stage)}" for name, stage in SHIPPED.stages.items() if stage.model_fields)


def _value(name: str, kind: Any, *, optional: bool = False) -> str:
    """Return a name with its type, as recipes write it."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    (plain,) = (one for one in kinds if one is not type(None))
    return f"`{name}`: {'optional ' * (optional or len(kinds) > 1)}{WORDS[plain]}"


def _about(stage: type[Stage]) -> str:
    """Return the first sentence of a stage's module, without its name."""
    text = " ".join((inspect.getdoc(sys.modules[stage.__module__]) or "").split())
    return re.sub(r"^\w+: (\w)(.*?\.)(?: .*)?$", lambda found: found[1].upper() + found[2], text)


def _reasons(stage: type[Stage]) -> str:
    """Return the reasons with which a stage diverts rows, by the outcome or the exit, from its source.

    Functions that its module takes from that of another stage count too; a stage without exits keeps the rows that
    such a function would divert to one.
    """
    module, found = sys.modules[stage.__module__], dict[str, list[str]]()
    taken = [one for one in vars(module).values() if inspect.isfunction(one) and _of_other_stage(one, module)]
    for node in (node for source in (module, *taken) for node in ast.walk(ast.parse(inspect.getsource(source)))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Divert":
            route, reason = (_literal(argument) for argument in node.args[:2])
            if isinstance(node.args[0], ast.Constant):
                if stage.exits is Stage.exits:
                    continue
                route = f"exit `{route}`"
            found.setdefault(route, []).append(f"`{reason}`")
    return "; ".join(f"{route}: {', '.join(dict.fromkeys(reasons))}" for route, reasons in sorted(found.items()))


def _of_other_stage(function: Any, module: ModuleType) -> bool:
    name: str = function.__module__
    return name != module.__name__ and name in {stage.__module__ for stage in SHIPPED.stages.values()}


def _literal(node: ast.expr) -> str:
    """Return a reason or a route in a stage's source: … stands for what a row or a parameter decides."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Name):
        return node.id.lower()
    return str(node.value) if isinstance(node, ast.Constant) else "its exits"


def written(page: str) -> str:
    """Return a page with its tables as the code has them now."""

    def table(mark: re.Match[str]) -> str:
        tables = {
            "fields": lambda: fields(MODELS[mark[3]]),
            "columns": lambda: parts(mark[3]),
            "subpackages": subpackages,
        }
        tables |= {"stages": stages, "parameters": parameters}
        return mark[1] + tables[mark[2]]() + mark[4]

    return MARK.sub(table, page)


def schema() -> str:
    """Return the JSON schema of a report's statistics.json."""
    return json.dumps(Statistics.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "statistics.schema.json").write_text(schema(), encoding="utf-8")
    for path in sorted(Path(__file__).parent.glob("*.md")):
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
