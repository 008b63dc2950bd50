"""What tells two makes of a run apart, in plain words: nodes, parameters, prompts, models, seed, input."""

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences between two manifests that make their rows different, a text each; none if they are of one make.

    A prompt that changed is shown as a unified diff.
    """
    before, after = ({node["name"]: node for node in manifest["nodes"]} for manifest in (old, new))
    found = [f"node '{name}' is new" for name in after if name not in before]
    found += [f"node '{name}' is gone" for name in before if name not in after]
    for name, node in after.items():
        if name not in before or before[name]["digest"] == node["digest"]:
            continue
        parts = ("stage", "inputs", "with")
        told = list(_leaves({key: before[name].get(key) for key in parts}, {key: node[key] for key in parts}))
        model = [manifest["pools"].get(one["pool"]) for manifest, one in ((old, before[name]), (new, node))]
        if model[0] != model[1]:
            told.append(f"model was {_model(model[0])} and is {_model(model[1])}")
        found += [f"node '{name}': {text}" for text in told or ["its digest is another"]]
    texts = [manifest.get("prompts", {}) for manifest in (old, new)]
    for name in texts[0].keys() & texts[1].keys():
        then, today = (text[name].splitlines() for text in texts)
        diff = list(unified_diff(then, today, f"{name} (then)", f"{name} (now)", lineterm="", n=1))
        if diff:
            found.append("\n      ".join([f"prompt '{name}':", *diff]))
    # The number of rows is no change of its own: rows that are new are done, and of rows that are gone `resume` tells.
    before, after = ({"seed": one["seed"], "recipe": one["recipe"], "input": {"path": one["input"]["path"]}}
                     for one in (old, new))  # fmt: skip
    found += _leaves(before, after)
    return found


def _leaves(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """`path was … and is …` for every value that differs, however deep."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if key != "digest":  # of a prompt: its text is compared
                yield from _leaves(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield f"{path} was {old!r} and is {new!r}"


def _model(pool: Mapping[str, Any] | None) -> str:
    return f"{pool['model']} ({pool['digest']})" if pool else "none"
