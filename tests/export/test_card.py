"""The card and the metadata of a data set say of the method what the recipes of its runs say, and no more."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.export.card import code_block
from oasis_ray.export.messages import dataset_info
from tests.support.checkout import ROOT
from tests.support.exports import accepted, captions, exported, views, write_scenes

Make = Callable[..., Path]
LOADED = """```python
import datasets

data = datasets.load_dataset("path/to/this/folder")
```
"""
CITE = "@misc{scenes,\n  title = {Scenes}\n}"


def card(runs: Path | list[Path], **options: Any) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the front matter, the text of the card, and the Croissant metadata of an export."""
    folder = exported(runs, "hf", **options)[1].folder
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text, json.loads((folder / "croissant.json").read_text())


def test_a_card_without_texts_of_the_recipe_leaves_them_out(make: Make) -> None:
    front, text, metadata = card(make(accepted(3) + captions(2), about="", cite=""), images="none")
    head, _, _ = text.partition("## Columns")
    assert head == (
        "# Visual instructions synthesised from images\n\n"
        "5 instructions with responses.\nThe texts were written by models, which are named below.\n\n"
        f"{LOADED}\n"
        "| record | `data_source` | train |\n|---|---|---|\n"
        "| accepted | oasis | 3 |\n| captions | oasis\\_caption | 2 |\n\n"
        "Each image occurs in one split only. The rows are shuffled.\n\n"
    )
    assert "Citation" not in text
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert front["tags"] == ["synthetic", "instruction-tuning", "oasis"]
    assert metadata["description"] == "Instructions with responses, written by models from images."
    assert "citeAs" not in metadata


def test_the_card_of_an_old_run_leaves_out_what_its_manifest_does_not_say(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/fixtures/run_of_version_1/run", tmp_path / "run")
    front, text, metadata = card(tmp_path / "run")
    assert f"which are named below.\n\n{LOADED}" in text
    assert "| accepted | oasis | 2 |\n| captions | oasis\\_caption | 1 |\n" in text
    assert "Outcomes of 13 images: 2 accepted, 1 captions, 6 rejected, 4 failed.\n" in text
    assert ("Citation" in text, "citeAs" in metadata) == (False, False)
    assert front["tags"] == ["synthetic", "instruction-tuning", "oasis"]


def test_the_card_of_runs_of_several_recipes_has_the_texts_of_each_once(make: Make, tmp_path: Path) -> None:
    about = "Scenes: what can be\nseen <b>here</b>."
    path = write_scenes(tmp_path, about=about, cite=CITE)
    runs = [make(accepted(3) + captions(2)), make(views(2) + accepted(1), "second", path), make(accepted(1), "third")]
    front, text, metadata = card(runs, split="train=0.5,validation=0.5")
    shipped = yaml.safe_load((ROOT / "stages/recipes/oasis.yaml").read_text(encoding="utf-8"))
    shown = "Scenes\\: what can be seen \\<b\\>here\\</b\\>."
    assert text.count("from images alone (Oasis, arXiv 2503.08741)") == text.count(f"\n\n{shown}\n\n```python") == 1
    assert text.endswith(f"\n## Citation\n\n```bibtex\n{shipped['cite']}```\n\n```bibtex\n{CITE}\n```\n")
    assert "| record | `data_source` | train | validation |\n|---|---|---|---|\n| accepted | oasis | " in text
    assert front["tags"] == ["synthetic", "instruction-tuning", "oasis", "scenes"]
    description = ["Instructions with responses, written by models from images.", shipped["about"], about]
    assert (metadata["citeAs"], metadata["description"]) == (f"{shipped['cite']}\n{CITE}", " ".join(description))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CITE, f"```bibtex\n{CITE}\n```"),
        (f"\n{CITE}\n\n", f"```bibtex\n{CITE}\n```"),
        ("a ``` b", "````bibtex\na ``` b\n````"),
        ("```\n# Header\n`````\n", "``````bibtex\n```\n# Header\n`````\n``````"),
    ],
)
def test_a_citation_stays_in_its_code_block(text: str, expected: str) -> None:
    assert code_block("bibtex", text) == expected


@pytest.mark.parametrize(
    ("recipe", "expected"), [("oasis", "oasis_train"), ("my scenes, v2", "my_scenes_v2_train"), ("景", "景_train")]
)
def test_llama_factory_is_given_a_name_that_it_can_be_asked_for(recipe: str, expected: str) -> None:
    assert list(dataset_info(recipe, ["train"])) == [expected]


def test_data_sets_for_llama_factory_have_the_name_of_the_first_runs_recipe(make: Make, tmp_path: Path) -> None:
    runs = [make(accepted(2), recipe=write_scenes(tmp_path)), make(accepted(2), "second")]
    folder = exported(runs, "sharegpt")[1].folder
    assert list(json.loads((folder / "dataset_info.json").read_text())) == ["scenes_train"]
