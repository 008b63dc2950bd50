"""Conversations as JSON in the formats that trainers load: LLaVA, ShareGPT, OpenAI and ms-swift.

Turns are taken unchanged from the column `conversations`: a system turn or none, then human and gpt in turn. The run
guarantees that `<image>` occurs there only once, at the beginning of the first human turn.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa

from oasis_ray.output.media_placeholders import PLACEHOLDER

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
# Unicode's other line separators: valid inside JSON strings, but some line-by-line readers split at them.
LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
ENCLOSED = ('""', "[]", "{}")
LITERAL = re.compile(r"[-+.\deE\s]*|true|false|null|nan|[-+]?inf(inity)?", re.IGNORECASE)

Record = dict[str, Any]


def llava(row: Record) -> Record:
    """`{id, image, conversations}`, an element of a JSON list; a row without an image has no key `image`.

    Source: LLaVA, docs/Finetune_Custom_Data.md, and LazySupervisedDataset in llava/train/train.py, which joins `image`
    to its `--image_folder` and looks for `<image>` in the turns. `data_source` names the kind of row. It knows only the
    speakers human and gpt and stops at any other, so the text of a system turn is under `system`, which it ignores, and
    which ms-swift reads.
    """
    image = {"image": row["image"]} if row["image"] else {}
    turns = row["conversations"]
    system = {"system": turns[0]["value"]} if turns and turns[0]["from"] == "system" else {}
    return {"id": row["id"], **image, **system, "conversations": turns[len(system) :],
            "data_source": row["data_source"]}  # fmt: skip


def sharegpt(row: Record) -> Record:
    """`{conversations, images}` as LLaMA-Factory loads it with the `dataset_info.json` written beside it.

    Source: LLaMA-Factory, data/README.md, "Sharegpt Format" and "Multimodal Dataset". Its converter takes a first turn
    of the system, whose role `system_tag` names.
    """
    return {"id": row["id"], "conversations": row["conversations"], "images": _images(row)}


def swift(row: Record) -> Record:
    """`{messages, images}`, with `<image>` directly before the text.

    Source: ms-swift, docs/source_en/Customization/Custom-dataset.md, "Multimodal". Other keys are ignored on loading.
    """
    messages = [
        {"role": role, "content": text.replace(f"{PLACEHOLDER}\n", PLACEHOLDER, 1) if shown else text}
        for role, text, shown in _turns(row)
    ]
    return {"id": row["id"], "messages": messages, "images": _images(row)}


def openai(row: Record) -> Record:
    """`{messages}` of the chat completions API, where each content is a list of parts: an image part and a text part.

    Source: OpenAI, guides "Vision fine-tuning" and "Images and vision". The URL is the image's path below the export;
    servers that load no files need an `https:` or `data:` URL instead. No question and no answer is a plain string:
    where lists occur too, `datasets` (4.8 and 5.2) parses strings as JSON, so that the answer "4" became a number and
    "null" a null. A system turn is a string, because ms-swift (4.6) takes no other, unless it may be taken for JSON.
    """
    messages: list[Record] = []
    for role, text, shown in _turns(row):
        parts: list[Record] = []
        if shown:
            parts.append({"type": "image_url", "image_url": {"url": row["image"]}})
            text = text.removeprefix(PLACEHOLDER).removeprefix("\n")
        plain = role == "system" and not _may_be_json(text)
        messages.append({"role": role, "content": text if plain else [*parts, {"type": "text", "text": text}]})
    return {"messages": messages}


def dataset_info(recipe: str, splits: Iterable[str]) -> Record:
    """Return `dataset_info.json` for LLaMA-Factory (its data/README.md): one data set per split, `RECIPE_SPLIT`.

    LLaMA-Factory separates the names of data sets by commas, so other characters than letters and digits become `_`.
    """
    name = re.sub(r"\W+", "_", recipe)
    # Without `system_tag`, LLaMA-Factory would skip every row with a system turn.
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
            "system_tag": "system"}  # fmt: skip
    return {
        f"{name}_{split}": {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "images": "images"},
            "tags": tags,
        }
        for split in splits
    }


def write_list(path: Path, tables: Iterator[pa.Table], record: Callable[[Record], Record]) -> None:
    """Write rows as one JSON list, with one row per line."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for number, text in enumerate(_texts(tables, record)):
            stream.write(",\n" if number else "[\n")
            stream.write(text)
        stream.write("\n]\n")


def write_lines(path: Path, tables: Iterator[pa.Table], record: Callable[[Record], Record]) -> None:
    """Write rows as JSON lines."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for text in _texts(tables, record):
            stream.write(text + "\n")


def as_json(record: Record) -> str:
    """Return a record as one line of JSON, without escapes for non-ASCII characters.

    Numbers that JSON has no form for (NaN, infinity) become null.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(record), ensure_ascii=False)
    for character, escape in LINE_ENDS.items():
        text = text.replace(character, escape)
    return text


def _may_be_json(text: str) -> bool:
    """Whether `datasets` may take a text for JSON. Its parser is lenient: "5E" is a number to it, `[1,]` a list."""
    bare = text.strip()
    return bare[:1] + bare[-1:] in ENCLOSED or bool(LITERAL.fullmatch(bare))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _texts(tables: Iterator[pa.Table], record: Callable[[Record], Record]) -> Iterator[str]:
    for table in tables:
        for row in table.select(["id", "image", "conversations", "data_source"]).to_pylist():
            yield as_json(record(row))


def _images(row: Record) -> list[str]:
    return [row["image"]] if row["image"] else []


def _turns(row: Record) -> Iterator[tuple[str, str, bool]]:
    """Yield role, text, and whether the image is shown in this turn."""
    for turn in row["conversations"]:
        yield ROLES[turn["from"]], turn["value"], bool(row["image"]) and turn["value"].startswith(PLACEHOLDER)
