"""Jobs of the recipes on the demo's models: which model serves which pool, and what small models need."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "benchmarks" / "models"
# `vlm` and `llm` are the Oasis pair. `recipes` has learnt what it has not: to describe, check statements, ask, reword.
ENGINE = {"device": "auto", "threads": 1, "max_context_tokens": 512, "max_sequences": 64, "gpu_share": 0.25}

DRAWN = {"with": {"sampling": {"temperature": 1.0, "max_tokens": 150}}}  # greedily it would make no mistakes to find
TURN = {"with": {"sampling": {"temperature": 1.0, "max_tokens": 100, "min_tokens": 1, "top_k": 200, "top_p": 0.98}}}
KIND = {"with": {"sampling": {"max_tokens": 100}}}
CLEAN = {"with": {"min_chars": 30}}
THOUGHT = {"with": {"sampling": {"temperature": 0.0, "max_tokens": 200}}}
NEAR = {"with": {"near_miss": [2]}}  # the world's judges say 2 where one property is wrong
RECIPES: dict[str, dict[str, Any]] = {
    "oasis": {
        "pools": {"vlm": "vlm", "llm": "llm"},
        "nodes": {"hook": TURN, "categorize": KIND, "caption_clean": CLEAN},
    },
    "oasis_n": {
        "pools": {"vlm": "vlm", "llm": "llm"},
        "nodes": {"hooks": TURN, "kind": KIND},
    },
    "oasis_repair": {
        "pools": {"vlm": "vlm", "llm": "llm", "writer": "recipes"},
        "nodes": {
            "hook": TURN,
            "categorize": KIND,
            "caption_clean": CLEAN,
            "hallucination": NEAR,
            "clarity": NEAR,
            "reword": {"pool": "writer"},
        },
    },
    "caption_gen": {"pools": {"vlm": "recipes"}, "nodes": {"caption": DRAWN}},
    "caption_hallucination": {"pools": {"vlm": "recipes", "llm": "recipes"}, "nodes": {"caption": DRAWN}},
    "caption_conversation": {
        "pools": {"vlm": "vlm", "llm": "llm", "writer": "recipes"},
        "nodes": {
            "caption": DRAWN | {"pool": "writer"},
            "hooks": TURN | {"pool": "writer"},
            "kind": KIND,
        },
    },
    "caption_conversation_as_coded": {
        "pools": {"vlm": "vlm", "llm": "recipes", "writer": "recipes"},
        "nodes": {"caption": DRAWN | {"pool": "writer"}},
    },
    "detailed_inst": {"pools": {"llm": "recipes"}},
    "match_score": {"pools": {"vlm": "recipes"}},
    "match_score_as_coded": {"pools": {"llm": "recipes"}},
    "prompt_evolve": {"pools": {"vlm": "recipes", "llm": "recipes"}},
    "vl_thinking": {
        "pools": {"vlm": "recipes", "reasoner": "recipes", "llm": "recipes"},
        "nodes": {"caption": DRAWN, "reason": THOUGHT, "rewrite": THOUGHT},
    },
    "vl_thinking_captioned": {
        "pools": {"reasoner": "recipes", "llm": "recipes"},
        "nodes": {"reason": THOUGHT, "rewrite": THOUGHT},
    },
}


def write_job(folder: Path, recipe: str) -> Path:
    """Write the job of a recipe, for the shards in its folder; return its path."""
    chosen = RECIPES[recipe]
    document = {
        "recipe": recipe,
        "prompts": str(ROOT / "prompts" / "short"),
        "executor": "local",
        "input": {"path": str(folder / "shards"), "id": "id"},
        "output": {"path": str(folder / "run"), "rows_per_part": 64},
        "pools": {name: {"model": str(MODELS / model)} | ENGINE for name, model in chosen["pools"].items()},
        "nodes": chosen.get("nodes", {}),
        "max_failed": 0.5,
        "rows_in_flight": 64,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path
