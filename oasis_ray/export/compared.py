"""Compared texts: what of a record `--dedup text` compares, from the recipe in the manifest of its run.

An instruction that a model wrote, or that comes from the input, is compared itself. Where a recipe draws instructions
from phrases, many good rows share one, so their responses are compared. Where the instruction of a record may be of
either kind, both texts are compared together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oasis_ray.output.outcomes import conversations_of, records_of
from oasis_ray.types import ACCEPTED


@dataclass(frozen=True)
class Compared:
    """The texts of a record that are compared. `several`: it is a conversation, which may have several exchanges."""

    instruction: bool = True
    response: bool = False
    several: bool = False

    def text(self, questions: Sequence[str], answers: Sequence[str]) -> str:
        """Return the compared texts of a record as one: of its questions, its answers, or both."""
        return "\0".join([*(questions if self.instruction else ()), *(answers if self.response else ())])


def compared_of(manifest: Mapping[str, Any]) -> dict[str, Compared]:
    """Return what is compared of each record of a run, by the name of the record."""
    authored, records = _authored(manifest["nodes"]), manifest.get("records", {})
    conversations = conversations_of(manifest)
    found = {}
    for name in records_of(manifest):
        if turns := records.get(name, {}).get("turns"):
            kinds = _of_refs(turns[0], authored)
            found[name] = Compared(True in kinds, False in kinds, several=name in conversations)
        else:  # of an earlier version, or of an earlier configuration of the run, of which the manifest keeps no more
            found[name] = Compared(name == ACCEPTED, name != ACCEPTED)
    return found


def _authored(nodes: Sequence[Mapping[str, Any]]) -> dict[str, set[bool]]:
    """Return for each node whether its text comes from a model or the input; both values where that depends on the row.

    A node that asks no model passes on the texts of its inputs, or of some of them (`text_from`).
    """
    known: dict[str, set[bool]] = {}
    for node in nodes:
        parts = [_of_refs(refs, known) for refs in _text_inputs(node)]
        if node["pool"] or {True} in parts:
            known[node["name"]] = {True}
        else:
            known[node["name"]] = {kind for part in parts for kind in part} or {False}
    return known


def _of_refs(refs: str | Sequence[str], known: Mapping[str, set[bool]]) -> set[bool]:
    """Return whether a value comes from a model or the input. Of several references, a row has one."""
    names = [refs] if isinstance(refs, str) else refs
    return {kind for name in names for kind in known.get(name.partition(".")[0], {True})}


def _text_inputs(node: Mapping[str, Any]) -> list[str | Sequence[str]]:
    """Return the references of the inputs whose texts become part of a node's text."""
    inputs = {**node["inputs"], **node.get("for_each", {})}
    chosen = node.get("text_from")
    # A manifest of an earlier version does not say which. Of a stage without a model, what it loads are phrases.
    if "text_from" not in node and any(_is_loaded(value) for value in node["with"].values()):
        chosen = ()
    texts = {name: refs for name, refs in inputs.items() if not isinstance(refs, Mapping)}  # those are scores by name
    return [refs for name, refs in texts.items() if chosen is None or name in chosen]


def _is_loaded(value: Any) -> bool:
    """Whether a parameter in a manifest stands for texts that the stage loaded."""
    return isinstance(value, Mapping) and value.keys() == {"name", "digest"}
