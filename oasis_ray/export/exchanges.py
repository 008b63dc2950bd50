"""Exchanges: the questions of a conversation, each with its answer. `--pairs` makes a record of each.

A record `ID` of several exchanges becomes `ID/0`, `ID/1` and so on. A record of one exchange keeps its id.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.input.ids import numbered, repeated
from oasis_ray.output.media_placeholders import PLACEHOLDER

SPEAKERS = pa.array(["human", "gpt", "system"])
SYSTEM = "system"

Turn = Mapping[str, str]


def count(conversations: pa.ChunkedArray) -> np.ndarray:
    """Return the number of exchanges of each conversation, of which only the speakers (`from`) are read.

    It is 0 where the turns are not human and gpt in turn, after a system turn or none.
    """
    rows = len(conversations)
    lists = conversations.combine_chunks()
    lengths = list_lengths(lists)
    starts = np.cumsum(lengths) - lengths
    speakers = pc.fill_null(pc.index_in(pc.struct_field(lists.flatten(), "from"), SPEAKERS), len(SPEAKERS))
    of_turn = np.asarray(speakers)
    system = np.zeros(rows, np.int64)
    spoken = lengths > 0
    system[spoken] = of_turn[starts[spoken]] == SPEAKERS.to_pylist().index(SYSTEM)
    parents = np.repeat(np.arange(rows), lengths)
    place = np.arange(len(of_turn)) - starts[parents] - system[parents]
    wrong = np.bincount(parents[(place >= 0) & (of_turn != place % 2)], minlength=rows)
    turns = lengths - system
    return np.where((wrong == 0) & (turns % 2 == 0), turns // 2, 0)


def divide(rows: pa.Table, exchanges: np.ndarray) -> pa.Table:
    """Return each row once for each of its exchanges, with their number (`exchanges`) and its own (`exchange`)."""
    parents = np.repeat(np.arange(len(exchanges)), exchanges)
    first = np.cumsum(exchanges) - exchanges
    divided = rows.take(pa.array(parents))
    divided = divided.append_column("exchange", pa.array(np.arange(len(parents)) - first[parents], pa.int32()))
    return divided.append_column("exchanges", pa.array(exchanges[parents], pa.int32()))


def name(rows: pa.Table, records: pa.ChunkedArray) -> pa.Table:
    """Return divided rows with the ids of exchanges, and those of their records in the column `record`.

    `records` are the unique ids of the records, one for each row whose `exchange` is 0.
    """
    of_record = np.cumsum(np.asarray(rows.column("exchange")) == 0) - 1
    record = records.take(pa.array(of_record))
    several = pc.greater(rows.column("exchanges"), 1)
    ids = pc.if_else(
        several, pc.binary_join_element_wise(record, pc.cast(rows.column("exchange"), pa.string()), "/"), record
    )
    if len(same := repeated(ids)):  # an exchange is named as another record is: the record keeps the name
        names = ids.to_pylist()
        taken, counts = set(names), dict.fromkeys(same.to_pylist(), 1)
        flags = several.to_pylist()
        ids = pa.chunked_array(
            [[numbered(name, counts, taken) if divided else name for name, divided in zip(names, flags, strict=True)]],
            pa.string(),
        )
    rows = rows.set_column(rows.column_names.index("id"), "id", ids)
    return rows.append_column("record", record)


def exchange(turns: Sequence[Turn], number: int) -> list[Turn]:
    """Return the turns of one exchange of a conversation: a system turn if there is one, the question, the answer.

    The question begins with the placeholder of the image if that of the first exchange does.
    """
    system = [turn for turn in turns[:1] if turn["from"] == SYSTEM]
    first, (asked, answered) = turns[len(system)], turns[len(system) + 2 * number :][:2]
    if number and first["value"].startswith(PLACEHOLDER):
        asked = {**asked, "value": f"{PLACEHOLDER}\n{asked['value']}"}
    return [*system, asked, answered]


def texts(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """Return question and answer of each exchange of a conversation, without the placeholder of the image."""
    spoken = [bare(turn["value"]) for turn in turns if turn["from"] != SYSTEM]
    return list(zip(spoken[::2], spoken[1::2], strict=True))


def sides(instruction: str, response: str, turns: Sequence[Turn]) -> tuple[list[str], list[str]]:
    """Return all questions and all answers of a conversation whose first ones are `instruction` and `response`."""
    questions, answers = ([bare(turn["value"]) for turn in turns if turn["from"] == who] for who in ("human", "gpt"))
    return [instruction, *questions[1:]], [response, *answers[1:]]


def later(conversations: pa.ChunkedArray, speaker: str) -> pa.Array:
    """Return the texts of all turns of a speaker but the first of each conversation."""
    lists = conversations.combine_chunks()
    turns = lists.flatten()
    lengths = list_lengths(lists)
    own = np.asarray(pc.equal(pc.struct_field(turns, "from"), speaker))
    parents = np.repeat(np.arange(len(lengths)), lengths)[own]
    first = np.ones(len(parents), bool)
    first[1:] = parents[1:] != parents[:-1]
    return pc.struct_field(turns, "value").filter(pa.array(own)).filter(pa.array(~first))


def joined(questions: Sequence[str], answers: Sequence[str]) -> str:
    """Return questions and answers in turn as one text."""
    return " ".join(chain.from_iterable(zip_longest(questions, answers, fillvalue="")))


def bare(text: str) -> str:
    """Return the text of a turn without the placeholder of the image."""
    return text.removeprefix(PLACEHOLDER).removeprefix("\n") if text.startswith(PLACEHOLDER) else text


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Return the length of each list, 0 for null."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)


def element(lists: pa.Array, exchange: np.ndarray) -> pa.Array:
    """Return of each list the element of the exchange with this number, null for a list that is null."""
    lengths = list_lengths(lists)
    places = np.cumsum(lengths) - lengths + exchange
    return lists.flatten().take(pa.array(places, pa.int64(), mask=np.asarray(pc.is_null(lists))))
