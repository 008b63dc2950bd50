"""Loading: reads a job file and the files that it names, and reports all problems at once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oasis_ray.errors import JobError, nearest
from oasis_ray.job.input import Input
from oasis_ray.job.job import Job
from oasis_ray.job.model_folder import folder_problems
from oasis_ray.job.prices import Prices
from oasis_ray.job.recipe_file import find_recipe, read_recipe
from oasis_ray.job.script import script_problems
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.source import IMAGE_ONLY, SourceType, image_of, source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import Stage
from oasis_ray.storage import expand, local_texts
from oasis_ray.text_files import read_yaml_text
from oasis_ray.validation import patch, read_yaml, validated


@dataclass(frozen=True, slots=True)
class Shipped:
    """The content of the project: stages by name, and the folders of recipes and prompts."""

    stages: Mapping[str, type[Stage]]
    recipes: Path
    prompts: Path


def load_job(path: Path, shipped: Shipped, sets: Sequence[str] = ()) -> tuple[Job, Recipe]:
    """Load the job file `path`, merge the overrides `a.b=value` into it, and bind its recipe.

    Raises JobError with all problems of the job file and the recipe.
    """
    document = read_yaml(path)
    problems: list[str] = []
    for text in sets:
        try:
            document = patch(document, _override(text))
        except JobError as error:
            problems.extend(error.problems)
    job = validated(Job, document, str(path), problems)
    pools = job.pools if job is not None else {}
    problems.extend(f"{path}: {problem}" for problem in (*folder_problems(pools), *script_problems(pools)))
    recipe = None
    if job is not None and job.prices is not None:
        try:
            read_prices(job.prices)
        except JobError as error:
            problems.extend(f"{path}: prices: {problem}" for problem in error.problems)
    name = document.get("recipe")
    # Without pools every node would be reported to lack one; the missing key is already reported.
    if isinstance(name, str) and isinstance(document.get("pools"), dict):
        try:
            recipe = _load_recipe(name, document, str(path), shipped)
        except JobError as error:
            problems.extend(error.problems)
    if job is None or recipe is None or problems:
        raise JobError(problems)
    # A pool that no node uses is not started.
    used = {node.pool for node in recipe.nodes}
    pools = {name: pool for name, pool in job.pools.items() if name in used}
    job = job.model_copy(update={"pools": pools, "input": resolved_input(job.input, recipe.source, str(path))})
    if job.executor == "local" and (unsupported := list(beyond_local(job))):
        raise JobError(f"{path}: {problem}" for problem in unsupported)
    return job, recipe


def beyond_local(job: Job) -> Iterator[str]:
    """Yield what a job asks for that needs a cluster, each with what to do instead."""
    advice = "or use Ray: executor: ray"
    if job.phases != "off":
        yield f"phases: {job.phases}: a local run has all engines at once; remove `phases`, {advice}"
    if job.workers > 1:
        yield f"workers: {job.workers}: a local run has one process; remove `workers`, {advice}"
    for name, pool in job.pools.items():
        if pool.gpu_types:
            yield f"pools.{name}.gpu_types: a local run has one engine per pool; remove `gpu_types`, {advice}"
        elif pool.replicas != (1, 1):
            low, high = pool.replicas
            shown = str(low) if low == high else f"[{low}, {high}]"
            yield f"pools.{name}.replicas: {shown}: a local run has one engine per pool; remove it, {advice}"
        if pool.gpu_type:
            yield f"pools.{name}.gpu_type: a local run uses the GPUs of this machine; remove it, {advice}"
        if pool.shared:
            yield f"pools.{name}.shared: {pool.shared}: a local run can't share engines; remove it, {advice}"


def read_prices(path: str) -> Prices:
    """Read a price file. Raises JobError with all its problems."""
    problems: list[str] = []
    prices = validated(Prices, read_yaml(Path(expand(path))), path, problems)
    if prices is None:
        raise JobError(problems)
    return prices


def load_recipe(name: str, shipped: Shipped, prompts: str | None = None) -> Recipe:
    """Load a recipe without a job: with a pool of each name that its nodes use.

    name: a shipped recipe, or the path of a recipe file. prompts: a folder that is searched before the shipped prompts.
    Raises JobError with all problems.
    """
    recipe = read_recipe(find_recipe(name, shipped.recipes, "recipe"), shipped.recipes)
    nodes = [node for node in recipe.get("nodes") or () if isinstance(node, dict)]
    pools = dict.fromkeys(str(node["pool"]) for node in nodes if node.get("pool"))
    return _load_recipe(name, {"pools": pools, "prompts": prompts}, "recipe", shipped)


def _load_recipe(name: str, document: Mapping[str, Any], where: str, shipped: Shipped) -> Recipe:
    path = find_recipe(name, shipped.recipes, where)
    recipe = read_recipe(path, shipped.recipes)
    problems: list[str] = []
    recipe = _patched(recipe, document.get("nodes"), where, problems)
    spec_problems: list[str] = []
    spec = validated(RecipeSpec, recipe, str(path), spec_problems)
    problems.extend(_by_name(problem, recipe) for problem in spec_problems)
    if spec is None:
        raise JobError(problems)
    prompts = document.get("prompts")
    try:
        with local_texts(str(prompts)) if prompts else nullcontext(shipped.prompts) as folder:
            if not folder.is_dir():
                problems.append(f"{where}: prompts: there is no folder {folder}")
            bound = bind(
                spec,
                where=str(path),
                stages=shipped.stages,
                prompts=[folder, shipped.prompts],
                pools=list(document["pools"]),
                source=_source(spec, document.get("input")),
            )
    except JobError as error:
        problems.extend(error.problems)
    if problems:
        raise JobError(problems)
    return bound


def _patched(recipe: dict[str, Any], nodes: Any, where: str, problems: list[str]) -> dict[str, Any]:
    """Return the recipe with the job's changes to its nodes merged in."""
    listed = recipe.get("nodes")
    if not isinstance(nodes, dict) or not isinstance(listed, list):
        return recipe
    names = [node.get("name") for node in listed if isinstance(node, dict)]
    for name in nodes:
        if name not in names:
            shown, meant = ", ".join(map(str, names)), nearest(str(name), map(str, names))
            problems.append(f"{where}: nodes: the recipe has no node '{name}' (it has: {shown}).{meant}")
    changes = {name: change for name, change in nodes.items() if isinstance(change, dict)}
    changed = [patch(node, changes.get(node.get("name"), {})) if isinstance(node, dict) else node for node in listed]
    return {**recipe, "nodes": changed}


def _by_name(problem: str, recipe: Mapping[str, Any]) -> str:
    """Return a problem of `nodes.3.stge` with the name of the node in place of its index."""
    match = re.match(r"(.*?): nodes\.(\d+)\.?(.*)", problem, re.DOTALL)
    node = recipe["nodes"][int(match[2])] if match else None
    if match is None or not isinstance(node, dict) or "name" not in node:
        return problem
    return f"{match[1]}, node '{node['name']}': {match[3]}"


def _source(spec: RecipeSpec, document: Any) -> dict[str, SourceType]:
    """Return the values that a recipe reads: those that it declares, else the image and the text columns of the job.

    The rest of the job's input may be invalid.
    """
    if spec.source is not None:
        return {name: source_type(text) for name, text in spec.source.items()}
    given = document if isinstance(document, dict) else {}
    columns = given.get("columns") or ()
    texts = {str(column): SourceType("text") for column in columns} if isinstance(columns, list | tuple | dict) else {}
    return texts if given.get("image", "image") is None else {**IMAGE_ONLY, **texts}


def resolved_input(config: Input, source: Mapping[str, SourceType], where: str) -> Input:
    """Return the input with the column of each value of the source. Raises JobError where a value has none."""
    name = image_of(source)
    problems = []
    if config.rows is not None and source:
        problems.append(f"input.rows: the recipe reads {', '.join(source)} from the input; name it as `path`")
    if name is not None and not source[name].optional and config.image is None:
        problems.append(f"input.image: the recipe reads an image (source.{name}); name its column")
    for value in config.columns:
        if value not in source:
            problems.append(
                f"input.columns: the recipe reads no '{value}' (it reads: {', '.join(source) or 'nothing'})."
                f"{nearest(value, source)}"
            )
        elif value == name:
            problems.append(
                f"input.columns: '{value}' is the image; name its column as `image: {config.columns[value]}`"
            )
    if problems:
        raise JobError(f"{where}: {problem}" for problem in problems)
    columns = {value: config.columns.get(value, value) for value in source if value != name}
    return config.model_copy(update={"columns": columns, "image": config.image if name is not None else None})


def _override(text: str) -> dict[str, Any]:
    """Parse `a.b=value` into a nested mapping; the value is YAML. Raises JobError for any other form."""
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise JobError([f"--set {text}: write it as key.key=value, such as --set pools.vlm.replicas=2"])
    *outer, inner = key.split(".")
    try:
        nested: dict[str, Any] = {inner: read_yaml_text(value, "--set")}
    except JobError:
        nested = {inner: value}
    for part in reversed(outer):
        nested = {part: nested}
    return nested
