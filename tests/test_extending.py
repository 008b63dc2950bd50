"""What docs/extending.md promises: a new scoring axis is a prompt file and a line of YAML."""

import re
from pathlib import Path

import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.stage import Prompt
from tests.support.checkout import ROOT


def test_a_new_axis_is_a_prompt_file_and_a_line(tmp_path: Path) -> None:
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    prompt, line = re.findall(r"```(?:text|yaml)\n(.*?)```", page, re.DOTALL)[:2]
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/difficulty.txt").write_text(prompt)
    recipe = (SHIPPED.recipes / "oasis.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(recipe.replace("  - name: gate\n", f"{line}  - name: gate\n"))
    pool = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:oasis"}
    job = {
        "recipe": str(tmp_path / "mine.yaml"),
        "prompts": str(tmp_path / "prompts"),
        "input": {"path": "shards"},
        "output": {"path": "run"},
        "pools": {"vlm": pool, "llm": pool},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    _, bound = load_job(tmp_path / "job.yaml", SHIPPED)
    node = next(node for node in bound.nodes if node.name == "difficulty")
    assert (node.stage.prompt, node.stage.accept) == (Prompt("difficulty", prompt.strip()), (3, 4, 5))  # type: ignore[attr-defined]
