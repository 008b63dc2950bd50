"""Read a job file with everything that it names, and report all that is wrong with it at once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oasis_ray.errors import JobError, nearest
from oasis_ray.job.job import Job
from oasis_ray.job.prices import Prices
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import Stage
from oasis_ray.storage import expand, local_texts
from oasis_ray.text_files import read_yaml_text
from oasis_ray.types import Image
from oasis_ray.validation import patch, read_yaml, validated


@dataclass(frozen=True, slots=True)
class Shipped:
    """What the project brings along: stages by name, and the folders of recipes and prompts."""

    stages: Mapping[str, type[Stage]]
    recipes: Path
    prompts: Path


def load_job(path: Path, shipped: Shipped, sets: Sequence[str] = ()) -> tuple[Job, Recipe]:
    """The job in the file `path` with the overrides `a.b=value` laid over it, and its recipe, bound.

    Raises JobError with every problem of the job file and of the recipe.
    """
    document = read_yaml(path)
    problems: list[str] = []
    for text in sets:
        try:
            document = patch(document, _override(text))
        except JobError as error:
            problems.extend(error.problems)
    job = validated(Job, document, str(path), problems)
    recipe = None
    if job is not None and job.prices is not None:
        try:
            read_prices(job.prices)
        except JobError as error:
            problems.extend(f"{path}: prices: {problem}" for problem in error.problems)
    name = document.get("recipe")
    # Without pools every node would be told to lack its own; the missing key is told already.
    if isinstance(name, str) and isinstance(document.get("pools"), dict):
        try:
            recipe = _load_recipe(name, document, str(path), shipped)
        except JobError as error:
            problems.extend(error.problems)
    if job is None or recipe is None or problems:
        raise JobError(problems)
    # A pool that no node asks is not started.
    used = {node.pool for node in recipe.nodes}
    job = job.model_copy(update={"pools": {name: pool for name, pool in job.pools.items() if name in used}})
    if job.executor == "local" and (refused := list(beyond_local(job))):
        raise JobError(f"{path}: {problem}" for problem in refused)
    return job, recipe


def beyond_local(job: Job) -> Iterator[str]:
    """What a job asks for that only a cluster can do, each with what to do instead."""
    advice = "or run it on Ray: executor: ray"
    if job.phases != "off":
        yield f"phases: {job.phases}: a local run has all its engines up at once; take `phases` out, {advice}"
    if job.workers > 1:
        yield f"workers: {job.workers}: a local run carries its rows in one process; take `workers` out, {advice}"
    for name, pool in job.pools.items():
        if pool.types:
            yield f"pools.{name}.types: a local run has one engine per pool; take `types` out, {advice}"
        elif pool.replicas != (1, 1):
            least, most = pool.replicas
            shown = str(least) if least == most else f"[{least}, {most}]"
            yield f"pools.{name}.replicas: {shown}: a local run has one engine per pool; take it out, {advice}"
        if pool.gpu_type:
            yield f"pools.{name}.gpu_type: a local run takes the GPUs that are here; take it out, {advice}"
        if pool.shared:
            yield f"pools.{name}.shared: {pool.shared}: a local run has its engines for itself; take it out, {advice}"


def read_prices(path: str) -> Prices:
    """The prices in the file at `path`. Raises JobError with everything that is wrong with them."""
    problems: list[str] = []
    prices = validated(Prices, read_yaml(Path(expand(path))), path, problems)
    if prices is None:
        raise JobError(problems)
    return prices


def _load_recipe(name: str, document: Mapping[str, Any], where: str, shipped: Shipped) -> Recipe:
    path = Path(expand(name))
    if path.suffix not in (".yaml", ".yml"):
        path = shipped.recipes / f"{name}.yaml"
        known = sorted(file.stem for file in shipped.recipes.glob("*.yaml"))
        if name not in known:
            shown = ", ".join(known)
            raise JobError(
                [f"{where}: there is no recipe {name!r} (shipped: {shown}; or give a path).{nearest(name, known)}"]
            )
    recipe = read_yaml(path)
    problems: list[str] = []
    recipe = _patched(recipe, document.get("nodes"), where, problems)
    told: list[str] = []
    spec = validated(RecipeSpec, recipe, str(path), told)
    problems.extend(_by_name(problem, recipe) for problem in told)
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
                source=_source_types(document.get("input")),
            )
    except JobError as error:
        problems.extend(error.problems)
    if problems:
        raise JobError(problems)
    return bound


def _patched(recipe: dict[str, Any], nodes: Any, where: str, problems: list[str]) -> dict[str, Any]:
    """The recipe with the job's changes to its nodes."""
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
    """A problem of `nodes.3.stge` told as one of the node by its name."""
    found = re.match(r"(.*?): nodes\.(\d+)\.?(.*)", problem, re.DOTALL)
    node = recipe["nodes"][int(found[2])] if found else None
    if found is None or not isinstance(node, dict) or "name" not in node:
        return problem
    return f"{found[1]}, node '{node['name']}': {found[3]}"


def _source_types(document: Any) -> dict[str, Any]:
    """What the recipe may bind as `source.…`, also where the rest of the input is wrong."""
    if not isinstance(document, dict):
        return {"image": Image}
    columns = document.get("columns") or ()
    texts = {str(column): str for column in columns} if isinstance(columns, list | tuple) else {}
    return texts if document.get("image", "image") is None else {"image": Image, **texts}


def _override(text: str) -> dict[str, Any]:
    """`a.b=value` as a mapping; the value is read as YAML. Raises JobError where it has no such form."""
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
