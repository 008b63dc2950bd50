"""Differences between two runs in words: nodes, parameters, prompts, models, seed, input."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

PACKAGE = "oasis_ray.content."  # stages were once imported without it


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the differences between two manifests that change rows, as one text per difference.

    Nodes are compared by digest if both manifests have the same version of digests, else by configuration. A changed
    prompt is shown as a unified diff.
    """
    before, after = ({node["name"]: node for node in manifest["nodes"]} for manifest in (old, new))
    texts = [f"node '{name}' is new" for name in after if name not in before]
    texts += [f"node '{name}' was removed" for name in before if name not in after]
    comparable = old.get("digests", 1) == new.get("digests", 1)
    for name, node in after.items():
        if name not in before or (comparable and before[name]["digest"] == node["digest"]):
            continue
        content = [_content(version, comparable=comparable) for version in (before[name], node)]
        changed = [
            text for path, text in _leaves(content[0], content[1]) if not _is_a_new_default(path, before[name], node)
        ]
        model = [manifest["pools"].get(version["pool"]) for manifest, version in ((old, before[name]), (new, node))]
        if model[0] != model[1]:
            changed.append(f"model was {_model(model[0])} and is {_model(model[1])}")
        if comparable and not changed:
            changed.append("its digest has changed")
        texts += [f"node '{name}': {text}" for text in changed]
    prompts = [manifest.get("prompts", {}) for manifest in (old, new)]
    for name in prompts[0].keys() & prompts[1].keys():
        then, today = (prompt[name].splitlines() for prompt in prompts)
        diff = list(unified_diff(then, today, f"{name} (then)", f"{name} (now)", lineterm="", n=1))
        if diff:
            texts.append("\n      ".join([f"prompt '{name}':", *diff]))
    # The number of rows is not compared: new rows are processed, and `resume` reports rows that are gone.
    before, after = (
        {"seed": manifest["seed"], "recipe": manifest["recipe"], "input": {"path": manifest["input"]["path"]}}
        for manifest in (old, new)
    )
    texts += [text for _, text in _leaves(before, after)]
    before, after = _routes(old, new), _routes(new, old)
    return texts + [text for _, text in _leaves(before, after)]


def _routes(manifest: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the routes of a manifest's nodes, and its records, as far as the other manifest has them too."""
    common = {node["name"] for node in manifest["nodes"]} & {node["name"] for node in other["nodes"]}
    routes: dict[str, Any] = {
        f"node '{node['name']}'": {key: node.get(key) for key in ("route", "to", "diverts")}
        for node in manifest["nodes"]
        if node["name"] in common
    }
    if "records" in manifest and "records" in other:
        routes["records"] = manifest["records"]
    return routes


def _content(node: Mapping[str, Any], *, comparable: bool) -> dict[str, Any]:
    """Return the configuration of a node in a manifest, as far as it can be compared."""
    content = {key: node.get(key) for key in ("inputs", "with")}
    content["max_attempts"] = node.get("max_attempts", 1)
    content |= {"stage": str(node.get("stage")).removeprefix(PACKAGE), "version": node.get("version", 1)}
    return content | ({"source": node.get("source")} if comparable else {})


def _is_a_new_default(path: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a difference is a parameter that is new to the stage and not set by the new recipe."""
    return path[0] == "with" and not _has(old["with"], path[1:]) and not _has(new.get("given", new["with"]), path[1:])


def _has(value: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _leaves(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of every value that differs, at any depth, and the text `path was … and is …`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if key != "digest":  # of a prompt, whose text is compared
                yield from _leaves(old.get(key), new.get(key), (*path, str(key)))
    elif old != new:
        yield path, f"{'.'.join(path)} was {old!r} and is {new!r}"


def _model(pool: Mapping[str, Any] | None) -> str:
    return f"{pool['model']} ({pool['digest']})" if pool else "none"
