"""Conversations as JSON, in the forms that training tools load: LLaVA, ShareGPT, OpenAI and ms-swift.

Turns come from the column `conversations` as they are, however many there are. There `<image>` stands once, at the
beginning of the first turn, and nowhere else: the run sees to that.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from oasis_ray.output.media_placeholders import PLACEHOLDER

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
# Unicode's other ends of lines: they are one character to JSON, and end a line to some who read a file line by line.
LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}

Record = dict[str, Any]


def llava(row: Record) -> Record:
    """`{id, image, conversations}`, an element of a JSON list; a row without a picture has no key `image`.

    Source: LLaVA, docs/Finetune_Custom_Data.md, and LazySupervisedDataset in llava/train/train.py, which joins `image`
    to its `--image_folder` and looks for `<image>` in the turns. `data_source` tells kinds apart.
    """
    picture = {"image": row["picture"]} if row["picture"] else {}
    return {"id": row["id"], **picture, "conversations": row["conversations"], "data_source": row["data_source"]}


def sharegpt(row: Record) -> Record:
    """`{conversations, images}` as LLaMA-Factory loads it with the `dataset_info.json` that is written beside it.

    Source: LLaMA-Factory, data/README.md, "Sharegpt Format" and "Multimodal Dataset".
    """
    return {"id": row["id"], "conversations": row["conversations"], "images": _pictures(row)}


def swift(row: Record) -> Record:
    """`{messages, images}`, with `<image>` right before the words.

    Source: ms-swift, docs/source_en/Customization/Custom-dataset.md, "Multimodal". Other keys are left away on loading.
    """
    messages = [
        {"role": role, "content": text.replace(f"{PLACEHOLDER}\n", PLACEHOLDER, 1) if shown else text}
        for role, text, shown in _turns(row)
    ]
    return {"id": row["id"], "messages": messages, "images": _pictures(row)}


def openai(row: Record) -> Record:
    """`{messages}` of the chat completions API, where each content is a list of parts: an image part and a text part.

    Source: OpenAI, guides "Vision fine-tuning" and "Images and vision". The URL is the picture's path below the export;
    servers that load no files want it as `https:` or `data:` URL. No content is a plain string: `datasets` (seen in 4.8
    and 5.2) reads one that stands beside lists as JSON, so the answer "4" came out as a number and "null" as nothing.
    """
    messages: list[Record] = []
    for role, text, shown in _turns(row):
        parts: list[Record] = []
        if shown:
            parts.append({"type": "image_url", "image_url": {"url": row["picture"]}})
            text = text.removeprefix(PLACEHOLDER).removeprefix("\n")
        messages.append({"role": role, "content": [*parts, {"type": "text", "text": text}]})
    return {"messages": messages}


def dataset_info(splits: Iterable[str]) -> Record:
    """What LLaMA-Factory is told of each split in `dataset_info.json` (its data/README.md): `oasis_train` and so on."""
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    return {
        f"oasis_{split}": {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "images": "images"},
            "tags": tags,
        }
        for split in splits
    }


def write_list(path: Path, tables: Iterator[pa.Table], record: Callable[[Record], Record]) -> None:
    """Write rows as one JSON list, a row a line."""
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
    """A record as one line of JSON, readable in any script."""
    text = json.dumps(record, ensure_ascii=False)
    for sign, written in LINE_ENDS.items():
        text = text.replace(sign, written)
    return text


def _texts(tables: Iterator[pa.Table], record: Callable[[Record], Record]) -> Iterator[str]:
    for table in tables:
        for row in table.select(["id", "picture", "conversations", "data_source"]).to_pylist():
            yield as_json(record(row))


def _pictures(row: Record) -> list[str]:
    return [row["picture"]] if row["picture"] else []


def _turns(row: Record) -> Iterator[tuple[str, str, bool]]:
    """Role, text, and whether the picture is shown in this turn."""
    for turn in row["conversations"]:
        yield ROLES[turn["from"]], turn["value"], bool(row["picture"]) and turn["value"].startswith(PLACEHOLDER)
