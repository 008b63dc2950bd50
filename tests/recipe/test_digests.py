"""Digests of nodes change with what a node computes, and with nothing else."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from oasis_ray.content.stages.score import Score

from oasis_ray.output.manifest_diff import changes
from oasis_ray.recipe.recipe import Node, Ref
from oasis_ray.stage import Stage
from oasis_ray.stage.prompt import Prompt
from oasis_ray.stage.signature import contract
from oasis_ray.types import MAIN, Sampling

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
from oasis_ray.stage import {imports}

@dataclass(frozen=True)
class In:
    text: str

@dataclass(frozen=True)
class Out:
    text: str

class Mine(RowStage[In, Out]):
    {fields}

    def apply(self, row: In) -> Out:
        return Out(row.text + "{written}")
"""
WIRES = {"text": (Ref("hook", "text"),)}


def node(stage: Stage, kind: str = "score", inputs: Mapping[str, Any] = WIRES) -> Node:
    return Node("n", kind, stage, None, MAIN, inputs)


SCORE = Score(prompt=Prompt("clarity", "Is it clear? {{text}}"), accept=(5,))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stage]:
    """Creates an external stage in a module `mine`, as users do."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(fields: str = "pass", written: str = "!", imports: str = "RowStage", **parameters: Any) -> Stage:
        sys.modules.pop("mine", None)
        contract.cache_clear()
        (tmp_path / "mine.py").write_text(SOURCE.format(fields=fields, written=written, imports=imports))
        import linecache

        linecache.checkcache()
        from mine import Mine  # type: ignore[import-not-found]

        stage: Stage = Mine(**parameters)
        return stage

    return make


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (node(SCORE), True),
        (node(SCORE.model_copy(update={"sampling": Score.model_fields["sampling"].default})), True),
        (node(SCORE.model_copy(update={"sampling": Sampling(temperature=0.3)})), False),
        (node(SCORE.model_copy(update={"accept": (4, 5)})), False),
        (node(SCORE.model_copy(update={"prompt": Prompt("clarity", "Is it?")})), False),
        (node(SCORE, kind="grade"), False),
        (node(SCORE, inputs={"text": (Ref("source", "text"),)}), False),
    ],
    ids=["itself", "the default again", "sampling", "a parameter", "a prompt's text", "another stage", "another input"],
)
def test_a_digest_changes_with_what_is_computed(other: Node, same: bool) -> None:
    assert (other.digest("m") == node(SCORE).digest("m")) is same


def test_a_digest_depends_on_the_model() -> None:
    assert node(SCORE).digest("m") != node(SCORE).digest("other")


def test_a_parameter_that_a_stage_gains_changes_no_digest_until_it_is_used(mine: Callable[..., Stage]) -> None:
    before = node(mine()).digest(None)
    assert node(mine("depth: int = 3")).digest(None) == before
    assert node(mine("depth: int = 3", depth=3)).digest(None) == before
    assert node(mine("depth: int = 3", depth=4)).digest(None) != before


def test_the_digest_of_a_shipped_stage_changes_with_its_version(mine: Callable[..., Stage]) -> None:
    before = node(mine()).digest(None)
    assert node(mine(written="?")).digest(None) == before
    assert node(mine("version: ClassVar[int] = 2")).digest(None) != before


def test_the_digest_of_an_external_stage_changes_with_its_source(mine: Callable[..., Stage]) -> None:
    before = node(mine(), "mine:Mine").digest(None)
    assert node(mine(), "mine:Mine").digest(None) == before
    assert node(mine(written="?"), "mine:Mine").digest(None) != before


def manifest(*, digests: int | None = 2, **keys: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "n", "stage": "oasis_ray.content.stages.score:Score", "pool": "llm", "inputs": {"text": "hook.text"},
        "with": {"accept": [5], "sampling": {"top_p": 1.0}}, "digest": "aa", "version": 1, "source": None, "given": {},
    }  # fmt: skip
    return {
        "nodes": [made | keys], "pools": {"llm": {"model": "m", "digest": "1"}}, "prompts": {}, "seed": 0,
        "recipe": "r", "input": {"path": "p"}, **({"digests": digests} if digests else {}),
    }  # fmt: skip


OLD = manifest(digests=None, stage="stages.score:Score", digest="bb")
for name in ("version", "source", "given"):
    del OLD["nodes"][0][name]
MORE = {"accept": [5], "sampling": {"top_p": 1.0, "min_p": 0.0}, "depth": 3}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (manifest(), manifest(), []),
        (manifest(), manifest(digest="cc"), ["node 'n': its digest has changed"]),
        (manifest(), manifest(digest="cc", version=2), ["node 'n': version was 1 and is 2"]),
        (manifest(), manifest(digest="cc", source="f"), ["node 'n': source was None and is 'f'"]),
        (OLD, OLD, []),
        (OLD, manifest(), []),
        (OLD, manifest(source="f"), []),
        (OLD, manifest(version=2), ["node 'n': version was 1 and is 2"]),
        (OLD, manifest(stage="mine:Score"), ["node 'n': stage was 'stages.score:Score' and is 'mine:Score'"]),
        (OLD, manifest(**{"with": MORE}), []),
        (OLD, manifest(given={"depth": 3}, **{"with": MORE}), ["node 'n': with.depth was None and is 3"]),
        (
            OLD,
            manifest(given={"sampling": {"min_p": 0.5}}, **{"with": MORE | {"sampling": {"top_p": 1.0, "min_p": 0.5}}}),
            ["node 'n': with.sampling.min_p was None and is 0.5"],
        ),
        (OLD, manifest(**{"with": {"accept": [4]}}), [
            "node 'n': with.accept was [5] and is [4]", "node 'n': with.sampling was {'top_p': 1.0} and is None",
        ]),
        (OLD, manifest() | {"pools": {"llm": {"model": "m", "digest": "2"}}}, [
            "node 'n': model was m (1) and is m (2)"
        ]),
    ],
)  # fmt: skip
def test_runs_of_two_versions_are_compared_by_what_their_nodes_compute(
    old: dict[str, Any], new: dict[str, Any], expected: list[str]
) -> None:
    assert changes(old, new) == expected
