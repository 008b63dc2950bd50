"""`extends`: a recipe takes over another one, and changes what it names."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.errors import JobError
from oasis_ray.job.recipe_file import find_recipe, read_recipe

BASE: dict[str, Any] = {
    "name": "base",
    "about": "Says what it makes.",
    "source": {"image": "image"},
    "nodes": [
        {"name": "ask", "stage": "hook", "pool": "vlm", "with": {"sampling": {"top_k": 20, "max_tokens": 9}}},
        {"name": "judge", "stage": "score", "pool": "llm", "with": {"accept": [5]}},
        {"name": "answer", "stage": "respond", "pool": "vlm"},
    ],
    "records": {"accepted": {"data_source": "base", "instruction": "ask.text", "response": "answer.text"}},
}


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    write(tmp_path / "shipped/base.yaml", BASE)
    return tmp_path / "shipped"


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def extended(shipped: Path, **keys: Any) -> dict[str, Any]:
    return read_recipe(write(shipped.parent / "mine.yaml", {"name": "mine", "extends": "base", **keys}), shipped)


def problem(shipped: Path, **keys: Any) -> str:
    with pytest.raises(JobError) as error:
        extended(shipped, **keys)
    (text,) = error.value.problems
    return text.replace(f"{shipped.parent}/", "")


def test_a_recipe_that_changes_nothing_is_the_extended_one_under_its_name(shipped: Path) -> None:
    assert extended(shipped) == {**BASE, "name": "mine"}


def test_keys_replace_and_mappings_are_merged(shipped: Path) -> None:
    found = extended(shipped, source={"hint": "text"}, records={"accepted": {"data_source": "mine"}}, about="Mine.")
    assert found["source"] == {"image": "image", "hint": "text"}
    assert found["records"]["accepted"] == BASE["records"]["accepted"] | {"data_source": "mine"}
    assert found["about"] == "Mine."


def test_nodes_are_merged_by_name_and_new_ones_come_after_the_node_that_they_name(shipped: Path) -> None:
    nodes = [
        {"name": "ask", "with": {"sampling": {"max_tokens": 5}}},
        {"name": "judge", "enabled": False},
        {"name": "mend", "stage": "generate", "after": "ask"},
        {"name": "check", "stage": "score", "after": "mend"},
        {"name": "last", "stage": "clean"},
    ]
    found = extended(shipped, nodes=nodes)["nodes"]
    assert [node["name"] for node in found] == ["ask", "mend", "check", "judge", "answer", "last"]
    assert found[0]["with"] == {"sampling": {"top_k": 20, "max_tokens": 5}}
    assert found[1] == {"name": "mend", "stage": "generate"}
    assert found[3] == BASE["nodes"][1] | {"enabled": False}


def test_a_new_node_comes_before_the_node_that_it_names_also_the_first_one(shipped: Path) -> None:
    nodes = [
        {"name": "draw", "stage": "phrase", "before": "ask"},
        {"name": "caption", "stage": "respond", "before": "ask"},
        {"name": "opening", "stage": "phrase", "before": "draw"},
        {"name": "check", "stage": "score", "before": "answer"},
        {"name": "mend", "stage": "generate", "after": "draw"},
        {"name": "ask", "with": {"sampling": {"max_tokens": 5}}},
    ]
    found = extended(shipped, nodes=nodes)["nodes"]
    assert found == [
        {"name": "opening", "stage": "phrase"},
        {"name": "draw", "stage": "phrase"},
        {"name": "mend", "stage": "generate"},
        {"name": "caption", "stage": "respond"},
        BASE["nodes"][0] | {"with": {"sampling": {"top_k": 20, "max_tokens": 5}}},
        BASE["nodes"][1],
        {"name": "check", "stage": "score"},
        BASE["nodes"][2],
    ]


def test_a_recipe_by_path_is_found_beside_the_file_that_extends_it(shipped: Path) -> None:
    first = write(shipped.parent / "a/first.yaml", {"name": "first", "extends": "base"})
    second = write(shipped.parent / "a/second.yaml", {"name": "second", "extends": "first.yaml"})
    assert read_recipe(second, shipped) == {**BASE, "name": "second"}
    assert find_recipe(str(first), shipped, "job.yaml") == first


def test_a_circle_is_reported(shipped: Path) -> None:
    write(shipped.parent / "a.yaml", {"name": "a", "extends": "b.yaml"})
    write(shipped.parent / "b.yaml", {"name": "b", "extends": "a.yaml"})
    with pytest.raises(JobError) as error:
        read_recipe(shipped.parent / "a.yaml", shipped)
    assert error.value.problems[0].replace(f"{shipped.parent}/", "") == (
        "b.yaml: extends: the recipes extend each other in a circle: a.yaml extends b.yaml extends a.yaml"
    )


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"extends": "bse"},
         "mine.yaml: extends: there is no recipe 'bse' (shipped: base; or give a path). Did you mean 'base'?"),
        ({"extends": ["base"]}, "mine.yaml: extends: name one recipe, or the path of a recipe file, not ['base']"),
        ({"extends": "mime.yaml"}, "there is no file mime.yaml (in that folder: mine.yaml). Did you mean 'mine.yaml'?"),
        ({"nodes": [{"name": "mend", "after": "aks"}]},
         "mine.yaml, node 'mend': after: there is no node 'aks' (possible: ask, judge, answer). Did you mean 'ask'?"),
        ({"nodes": [{"name": "mend", "before": "answr"}]},
         ("mine.yaml, node 'mend': before: there is no node 'answr' (possible: ask, judge, answer). "
          "Did you mean 'answer'?")),
        ({"nodes": [{"name": "mend", "before": "mend"}]},
         "mine.yaml, node 'mend': before: there is no node 'mend' (possible: ask, judge, answer)."),
        ({"nodes": [{"name": "mend", "before": "answer", "after": "ask"}]},
         "mine.yaml, node 'mend': it names its place as `after` and as `before`; remove one of them"),
        ({"nodes": [{"name": "ask", "before": "answer"}]},
         "mine.yaml, node 'ask': `before` places new nodes, but 'ask' is in the extended recipe"),
        ({"nodes": [{"name": "ask", "after": "answer"}]},
         "mine.yaml, node 'ask': `after` places new nodes, but 'ask' is in the extended recipe"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_reported(keys: dict[str, Any], text: str, shipped: Path) -> None:
    assert problem(shipped, **keys) == text
