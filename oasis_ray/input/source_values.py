"""Source values: columns of the input as the types that the recipe declares.

The column's Arrow type is checked when the shards are opened, the values of each row when the row is read.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from oasis_ray.errors import RowError
from oasis_ray.recipe.source import SourceType
from oasis_ray.types import Turn

SPEAKERS = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "system": "system"}
TURN_KEYS = (("from", "value"), ("role", "content"))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type is text."""
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string))


def fits(kind: pa.DataType, wanted: SourceType) -> bool:
    """Whether a column of this Arrow type holds values of the wanted type. A column of nulls holds any optional one."""
    if pa.types.is_null(kind):
        return wanted.optional
    if wanted.kind == "text":
        return is_text(kind)
    if wanted.kind == "integer":
        return bool(pa.types.is_integer(kind))
    if wanted.kind == "number":
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    if wanted.kind == "list of texts":
        return is_text(kind.value_type)
    struct = kind.value_type
    if not pa.types.is_struct(struct):
        return False
    texts = {struct.field(i).name for i in range(struct.num_fields) if is_text(struct.field(i).type)}
    return any(texts.issuperset(keys) for keys in TURN_KEYS)


def typed(value: Any, wanted: SourceType) -> Any:
    """Return a value of a column as the wanted type; None stays None.

    Raises RowError if it is a conversation that can't be used, or a list with nulls.
    """
    if value is None:
        return None
    if wanted.kind == "conversation":
        return conversation(value)
    if wanted.kind == "number":
        return float(value)
    if wanted.kind == "list of texts" and None in value:
        raise RowError("value_broken", "a list of texts contains null")
    return value


def conversation(turns: list[Mapping[str, Any]]) -> list[Turn]:
    """Return turns of {from, value} or {role, content} as a conversation: human and gpt in turn, gpt last.

    A system turn may come first. Raises RowError with the reason `conversation_broken` for anything else.
    """
    result: list[Turn] = []
    for place, turn in enumerate(turns, start=1):
        who, said = next(((turn[a], turn[b]) for a, b in TURN_KEYS if turn.get(a) is not None), (None, None))
        speaker = SPEAKERS.get(str(who))
        if speaker is None:
            raise RowError("conversation_broken", f"turn {place} is by {who!r}, not by one of: {', '.join(SPEAKERS)}")
        if not isinstance(said, str) or not said.strip():
            raise RowError("conversation_broken", f"turn {place}, by {who}, has no text")
        before = result[-1].speaker if result else None
        if speaker == "system" and before is not None:
            raise RowError("conversation_broken", f"turn {place} is by the system; only the first turn can be")
        if speaker == before or (speaker == "gpt" and before in (None, "system")):
            after = "comes first" if before in (None, "system") else f"follows another turn by {who}"
            raise RowError("conversation_broken", f"turn {place}, by {who}, {after}")
        result.append(Turn(speaker, said))  # type: ignore[arg-type]
    if not result or result[-1].speaker != "gpt":
        raise RowError("conversation_broken", "it does not end with an answer" if result else "it has no turns")
    return result
