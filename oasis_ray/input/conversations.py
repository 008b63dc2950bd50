"""Conversations: turns in the forms of LLaVA, ShareGPT and OpenAI, read as a list of {from, value}.

The placeholder `<image>` is removed from the texts: a row's image is a column of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from oasis_ray.input.record_lists import RecordError

TURNS = pa.list_(pa.struct({"from": pa.string(), "value": pa.string()}))
KEYS = ("conversations", "messages")  # of a record: its value may be a conversation
ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "system": "system"}
PLACEHOLDER = re.compile(r"<image>(?:\r\n|\n|\r)|(?:\r\n|\n|\r)<image>|<image>")

NOT_TURNS = "a conversation that is not a list of turns"
OTHER_ROLE = f"a turn of another role than {', '.join(ROLES)}"
OTHER_PART = "a part of a turn that is neither text nor image_url"
NO_TEXT = "a turn without text"
TWO_QUESTIONS = "two user turns in a row"
NO_ANSWER = "a conversation without an assistant turn"


@dataclass
class Conversation:
    """Turns of a record, paths of the images in them, number of placeholders, and keys that are not kept."""

    turns: list[dict[str, str]] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    placeholders: int = 0
    ignored: set[str] = field(default_factory=set)


def is_conversation(value: Any) -> bool:
    """Whether a value of a record is a list of turns: of objects, of which at least one names its role."""
    return isinstance(value, list) and any(isinstance(turn, dict) and turn.keys() & {"from", "role"} for turn in value)


def read_conversation(value: Any) -> Conversation:
    """Read a list of turns, {from, value} or {role, content}. Raises RecordError if it is not a conversation,
    and ValueError for text with lone surrogates.
    """
    if not isinstance(value, list):
        raise RecordError(NOT_TURNS)
    read, before = Conversation(), ""
    for number, turn in enumerate(value, start=1):
        where = f"turn {number}"
        if not isinstance(turn, dict):
            raise RecordError(NOT_TURNS, f"{where} is not an object")
        speaker, content = "from" if "from" in turn else "role", "value" if "value" in turn else "content"
        name = turn.get(speaker)
        role = ROLES.get(name) if isinstance(name, str) else None
        if role is None:
            raise RecordError(OTHER_ROLE, f"{where}: {name!r:.50}")
        if role == before == "human":
            raise RecordError(TWO_QUESTIONS, where)
        text = _text(turn.get(content), read, where)
        if not text.strip():
            raise RecordError(NO_TEXT, where)
        read.turns.append({"from": role, "value": text})
        read.ignored |= _others(turn, speaker, content)
        before = before if role == "system" else role
    if not any(turn["from"] == "gpt" for turn in read.turns):
        raise RecordError(NO_ANSWER)
    return read


def _text(content: Any, read: Conversation, where: str) -> str:
    """Return a turn's text without placeholders; its images, and keys that are not kept, are added to `read`."""
    texts = []
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "image_url"):
            raise RecordError(OTHER_PART, f"{where}: {kind!r:.50}")
        inner = part.get(kind)
        if kind == "image_url":
            read.images.append(inner.get("url") if isinstance(inner, dict) else inner)
            read.ignored |= _others(inner, "url") if isinstance(inner, dict) else set()
        elif isinstance(inner, str):
            texts.append(inner)
        else:
            raise RecordError(NO_TEXT, where)
        read.ignored |= _others(part, "type", kind)
    text, count = PLACEHOLDER.subn("", "\n".join(texts))
    text.encode()
    read.placeholders += count
    return text


def _others(turn: Mapping[str, Any], *known: str) -> set[str]:
    return {key for key, value in turn.items() if key not in known and value is not None}
