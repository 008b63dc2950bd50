"""Recipe files: finds a recipe by name or path, and merges it into the recipe that it extends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oasis_ray.errors import JobError, nearest
from oasis_ray.storage import expand
from oasis_ray.validation import patch, read_yaml

PLACES = {"after": 1, "before": 0}  # keys of a new node, and its distance from the node that it names there


def find_recipe(name: str, shipped: Path, where: str, beside: Path | None = None) -> Path:
    """Return the file of a recipe: a shipped one by name, else a path, below the folder `beside` if it is relative.

    Raises JobError with the names of the shipped recipes.
    """
    path = Path(expand(name))
    if path.suffix in (".yaml", ".yml"):
        return path if beside is None or path.is_absolute() else beside / path
    known = sorted(file.stem for file in shipped.glob("*.yaml"))
    if name not in known:
        possible = f"shipped: {', '.join(known)}; or give a path"
        raise JobError([f"{where}: there is no recipe {name!r} ({possible}).{nearest(name, known)}"])
    return shipped / f"{name}.yaml"


def read_recipe(path: Path, shipped: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a recipe file, with the recipe that it `extends` merged in.

    Keys of the file replace those of the extended recipe, mappings are merged. A node of the same name is merged with
    the extended recipe's; a new one comes `after` or `before` the node that it names there, or at the end. Raises
    JobError where a file is missing, where recipes extend each other in a circle, and for a place that can't be found.
    """
    document = read_yaml(path)
    base_name = document.pop("extends", None)
    if base_name is None:
        return document
    if not isinstance(base_name, str):
        raise JobError([f"{path}: extends: name one recipe, or the path of a recipe file, not {base_name!r}"])
    chain = (*extended_by, path)
    base_path = find_recipe(base_name, shipped, f"{path}: extends", path.parent)
    if base_path.resolve() in [file.resolve() for file in chain]:
        circle = " extends ".join(file.name for file in (*chain, base_path))
        raise JobError([f"{path}: extends: the recipes extend each other in a circle: {circle}"])
    base = read_recipe(base_path, shipped, chain)
    nodes = _merged(base.get("nodes"), document.pop("nodes", []), str(path))
    return {**patch(base, document), "nodes": nodes}


def _merged(base: Any, changes: Any, where: str) -> Any:
    """Return the nodes of a recipe with the nodes of the recipe that extends it merged in."""
    if not isinstance(base, list) or not isinstance(changes, list):
        return changes or base  # validation reports what is wrong
    nodes, problems = list(base), list[str]()
    for change in changes:
        names = [node.get("name") for node in nodes if isinstance(node, Mapping)]
        if not isinstance(change, Mapping):
            nodes.append(change)
            continue
        node = {key: value for key, value in change.items() if key not in PLACES}
        name, places = change.get("name"), {key: change[key] for key in PLACES if change.get(key) is not None}
        where_node = f"{where}, node '{name}'"
        if name in names:
            at = names.index(name)
            nodes[at] = patch(nodes[at], node)
            problems.extend(
                f"{where_node}: `{key}` places new nodes, but '{name}' is in the extended recipe" for key in places
            )
        elif len(places) > 1:
            problems.append(f"{where_node}: it names its place as `after` and as `before`; remove one of them")
        elif not places:
            nodes.append(node)
        else:
            ((key, other),) = places.items()
            if other in names:
                nodes.insert(names.index(other) + PLACES[key], node)
                continue
            shown = ", ".join(map(str, names))
            problems.append(
                f"{where_node}: {key}: there is no node '{other}' (possible: {shown})."
                f"{nearest(str(other), map(str, names))}"
            )
    if problems:
        raise JobError(problems)
    return nodes
