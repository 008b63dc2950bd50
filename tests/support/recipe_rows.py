"""Rows for the scripts in `recipe_scripts`, by recipe, and how each of them ends."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.input.columns import IMAGE
from tests.support.shards import picture

SQUARE = "一个青色的正方形，边缘清晰，没有文字。"
DESCRIBE = "描述这张图片。"
DOTS = {"question": "How many white dots are there?", "answer": "3"}
TEXTS = {"instruction": DESCRIBE, "response": SQUARE}

# `image: None` stands for a row without an image; all other rows have one.
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "caption_gen": {"good": {}, "mute": {}, "endless": {}},
    "detailed_inst": {
        "colours": {"caption": "A teal square with sharp edges fills the picture."},
        "writing": {"caption": "A sign says OPEN in white letters.", "image": None},
        "mute": {"caption": "A tree."},
        "endless": {"caption": "A tree, and another tree."},
        "null": {"caption": None},
    },
    "match_score": {
        "good": TEXTS,
        "good-text": {**TEXTS, "image": None},
        "poor": {**TEXTS, "response": "今天天气很好。"},
        "unreadable": TEXTS,
        "off-scale": TEXTS,
        "half": TEXTS,
    },
    "prompt_evolve": dict.fromkeys(("better", "worse", "fine", "unreadable", "refused", "endless"), TEXTS),
    "vl_thinking": {
        "right": DOTS,
        "wrong": {**DOTS, "answer": "4"},
        **dict.fromkeys(("endless", "blunt", "lost", "unsure"), DOTS),
    },
    "magpie": {f"row-{number:08}": {} for number in range(10)},
    "oasis_n": {"good": {}, "captions": {}, "mute": {}, "poor": {}},
    "caption_conversation_as_coded": {"good": {}, "many": {}, "none": {}, "endless": {}},
    "caption_hallucination": {"good": {}, "wrong": {}, "unsure": {}, "mute": {}},
    "genixer": {
        name: {}
        for name in ("good", "doubtful", "wrong", "choice", "dialogue", "unlabelled", "half", "mute", "many", "silent")
    },
    "oasis_repair": {
        name: {}
        for name in ("good", "unclear", "invented", "nonsense", "still-unclear", "still-invented", "bad", "caption")
    },
}
ROWS["caption_conversation"] = ROWS["oasis_n"]
ROWS["genixer_medium"] = ROWS["genixer"]
ROWS["match_score_as_coded"] = ROWS["match_score"]
CAPTION = "A teal square, and on it three white dots in a row."
ROWS["vl_thinking_captioned"] = {name: {**row, "caption": CAPTION} for name, row in ROWS["vl_thinking"].items()}

ACCEPTED = ("accepted", None, None)
UNSCORED = {
    "unreadable": ("failed", "match", "no_verdict"),
    "off-scale": ("failed", "match", "verdict_out_of_range"),
    "half": ("failed", "match", "verdict_out_of_range"),
}
UNPAIRED = {
    "unlabelled": ("failed", "pairs", "no_label"),
    "half": ("failed", "pairs", "question_without_answer"),
    "mute": ("rejected", "pairs", "empty_answer"),
    "many": ("rejected", "pairs", "too_many_pairs"),
    "silent": ("failed", "right", "no_probability"),
}
# The outcome of each row, and for a row without a record the node and the reason.
ENDS: dict[str, dict[str, tuple[str, str | None, str | None]]] = {
    "caption_gen": {
        "good": ACCEPTED,
        "mute": ("rejected", "caption", "empty_response"),
        "endless": ("rejected", "caption", "response_truncated"),
    },
    "detailed_inst": {
        "colours": ACCEPTED,
        "writing": ACCEPTED,
        "mute": ("rejected", "inquire", "empty_text"),
        "endless": ("rejected", "inquire", "text_truncated"),
        "null": ("failed", "inquire", "value_missing"),
    },
    "match_score": {"good": ACCEPTED, "good-text": ACCEPTED, "poor": ACCEPTED, **UNSCORED},
    "match_score_as_coded": {
        "good": ACCEPTED,
        "good-text": ACCEPTED,
        "poor": ACCEPTED,
        **{name: (outcome, "match_text", reason) for name, (outcome, _, reason) in UNSCORED.items()},
    },
    "prompt_evolve": {
        "better": ACCEPTED,
        "worse": ACCEPTED,
        "fine": ACCEPTED,
        "unreadable": ("failed", "before", "no_verdict"),
        "refused": ("rejected", "improve", "empty_text"),
        "endless": ("rejected", "respond", "response_truncated"),
    },
    "vl_thinking": {
        "right": ACCEPTED,
        "wrong": ("rejected", "verify", "choice_no"),
        "endless": ("failed", "reason", "reply_only_reasoning"),
        "blunt": ("rejected", "reasoning", "no_reasoning_end"),
        "lost": ("rejected", "rewritten", "no_reasoning_end"),
        "unsure": ("failed", "verify", "no_choice"),
    },
    "magpie": {
        "row-00000000": ACCEPTED,
        "row-00000001": ACCEPTED,
        "row-00000002": ("rejected", "categorize", "caption"),
        "row-00000003": ACCEPTED,
        "row-00000004": ("rejected", "quality", "score_1"),
        "row-00000005": ("rejected", "hook", "empty_hook"),
        "row-00000006": ("failed", "kind", "no_choice"),
        "row-00000007": ("failed", "quality", "no_verdict"),
        "row-00000008": ("rejected", "respond", "response_truncated"),
        "row-00000009": ACCEPTED,
    },
    "oasis_n": {
        "good": ACCEPTED,
        "captions": ("rejected", "questions", "branch_caption"),
        "mute": ("rejected", "hooks", "empty_hook"),
        "poor": ("rejected", "clarity", "score_2"),
    },
    "caption_conversation_as_coded": {
        "good": ACCEPTED,
        "many": ("rejected", "questions", "too_many_parts"),
        "none": ("rejected", "questions", "too_few_parts"),
        "endless": ACCEPTED,
    },
    "caption_hallucination": {
        "good": ACCEPTED,
        "wrong": ("rejected", "check", "choice_incorrect"),
        "unsure": ("failed", "check", "no_choice"),
        "mute": ("rejected", "statements", "too_few_parts"),
    },
    "genixer": {
        "good": ACCEPTED,
        "doubtful": ("rejected", "right", "probability_low"),
        "wrong": ("rejected", "right", "probability_low"),
        "choice": ACCEPTED,
        "dialogue": ACCEPTED,
        **UNPAIRED,
    },
    "genixer_medium": {
        "good": ("rejected", "right", "probability_high"),
        "doubtful": ACCEPTED,
        "wrong": ("rejected", "right", "probability_low"),
        "choice": ("rejected", "right", "probability_high"),
        "dialogue": ("rejected", "right", "probability_high"),
        **UNPAIRED,
    },
    "oasis_repair": {
        **dict.fromkeys(("good", "unclear", "invented", "nonsense"), ACCEPTED),
        "still-unclear": ("rejected", "clarity_again", "score_2"),
        "still-invented": ("rejected", "hallucination_again", "score_4"),
        "bad": ("rejected", "nonsense", "score_1"),
        "caption": ("captions", None, None),
    },
}
ENDS["caption_conversation"] = ENDS["oasis_n"]
ENDS["vl_thinking_captioned"] = ENDS["vl_thinking"]


def recipe_shard(path: Path, recipe: str, copies: int = 1) -> Path:
    """Write a shard with so many copies of the rows of a recipe; the ids of several are `good.0`, `good.1`."""
    rows = ROWS[recipe]
    if copies > 1:
        rows = {f"{name}.{copy}": row for name, row in rows.items() for copy in range(copies)}
    columns = {name for row in rows.values() for name in row} - {"image"}
    image = {"bytes": picture(), "path": None}
    table = {
        "id": pa.array([*rows], pa.string()),
        "image": pa.array([row.get("image", image) for row in rows.values()], IMAGE),
        **{name: pa.array([row[name] for row in rows.values()], pa.string()) for name in sorted(columns)},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path
