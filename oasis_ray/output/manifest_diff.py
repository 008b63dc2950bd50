"""What differs between two runs, in plain words: nodes, parameters, prompts, models, seed, input."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

PACKAGE = "oasis_ray.content."  # stages were imported without it once


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences between two manifests that make their rows different, one text each; none if rows are the same.

    Digests of nodes are compared where both are of one version. Otherwise what they are made of is compared. A prompt
    that changed is shown as a unified diff.
    """
    before, after = ({node["name"]: node for node in manifest["nodes"]} for manifest in (old, new))
    found = [f"node '{name}' is new" for name in after if name not in before]
    found += [f"node '{name}' is gone" for name in before if name not in after]
    comparable = old.get("digests", 1) == new.get("digests", 1)
    for name, node in after.items():
        if name not in before or (comparable and before[name]["digest"] == node["digest"]):
            continue
        content = [_content(one, comparable=comparable) for one in (before[name], node)]
        told = [
            text for path, text in _leaves(content[0], content[1]) if not _is_a_new_default(path, before[name], node)
        ]
        model = [manifest["pools"].get(one["pool"]) for manifest, one in ((old, before[name]), (new, node))]
        if model[0] != model[1]:
            told.append(f"model was {_model(model[0])} and is {_model(model[1])}")
        if comparable and not told:
            told.append("its digest is another")
        found += [f"node '{name}': {text}" for text in told]
    texts = [manifest.get("prompts", {}) for manifest in (old, new)]
    for name in texts[0].keys() & texts[1].keys():
        then, today = (text[name].splitlines() for text in texts)
        diff = list(unified_diff(then, today, f"{name} (then)", f"{name} (now)", lineterm="", n=1))
        if diff:
            found.append("\n      ".join([f"prompt '{name}':", *diff]))
    # The number of rows is no change of its own: rows that are new are done, and of rows that are gone `resume` tells.
    before, after = ({"seed": one["seed"], "recipe": one["recipe"], "input": {"path": one["input"]["path"]}}
                     for one in (old, new))  # fmt: skip
    found += [text for _, text in _leaves(before, after)]
    return found


def _content(node: Mapping[str, Any], *, comparable: bool) -> dict[str, Any]:
    """What a node is made of, as a manifest says it."""
    content = {key: node.get(key) for key in ("inputs", "with")}
    content |= {"stage": str(node.get("stage")).removeprefix(PACKAGE), "version": node.get("version", 1)}
    return content | ({"source": node.get("source")} if comparable else {})


def _is_a_new_default(path: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a difference is a parameter that the earlier stage had not, and that is at its default now."""
    return path[0] == "with" and not _has(old["with"], path[1:]) and not _has(new.get("given", new["with"]), path[1:])


def _has(value: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _leaves(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path of every value that differs, however deep, with `path was … and is …`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if key != "digest":  # of a prompt: its text is compared
                yield from _leaves(old.get(key), new.get(key), (*path, str(key)))
    elif old != new:
        yield path, f"{'.'.join(path)} was {old!r} and is {new!r}"


def _model(pool: Mapping[str, Any] | None) -> str:
    return f"{pool['model']} ({pool['digest']})" if pool else "none"
