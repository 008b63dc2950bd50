"""Records: the conversion of ended rows to rows of the parts."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from oasis_ray.output.media_placeholders import PLACEHOLDER, harmless
from oasis_ray.output.row_state import elements, outputs, state, waiting_columns
from oasis_ray.output.schema import columns as columns_of
from oasis_ray.recipe.recipe import Recipe, Record
from oasis_ray.recipe.row import Row
from oasis_ray.stage.signature import plain
from oasis_ray.types import FAILED, Turn


def record(ended: Row, recipe: Recipe, *, keep_images: bool, keep_nodes: bool = True) -> dict[str, Any]:
    """Return one row of a part: its values by column."""
    outcome = recipe.outcome_of(ended.route)
    spec = recipe.records.get(outcome)
    row: dict[str, Any] = {
        "id": ended.id,
        "image": ended.image if spec or keep_images else None,
        "nodes": outputs(ended) if keep_nodes else {},
        "lineage": ended.lineage,
        "scored_in_full": ended.in_full,
        "image_sha256": ended.digest,
        "origin": ended.origin,
        "source": ended.address,
        "moves": ended.moves,
    }
    if recipe.has_elements:
        row["elements"] = elements(ended)
    if spec is None:
        column = "error" if outcome == FAILED else "detail"
        return {**row, "node": ended.node, "reason": ended.reason, column: ended.detail}
    turns = _turns(ended, spec)
    return {
        **row,
        "conversations": conversations(turns, image=ended.digest is not None),
        "data_source": spec.data_source,
        "instruction": next(turn.text for turn in turns if turn.speaker == "human"),
        "response": next(turn.text for turn in turns if turn.speaker == "gpt"),
        "scores": {axis: ended.value(refs) for axis, refs in spec.scores.items()},
        **({"columns": columns} if (columns := _columns(ended, spec)) else {}),
    }


def _columns(ended: Row, spec: Record) -> dict[str, Any]:
    return {name: plain(ended.value(refs)) for name, refs in spec.columns.items()} | dict(ended.kept)


def _turns(ended: Row, spec: Record) -> list[Turn]:
    if len(spec.turns) == 1:
        turns: list[Turn] = ended.value(spec.turns[0])
        return turns
    instruction, response = (ended.value(refs) for refs in spec.turns)
    return [Turn("human", instruction), Turn("gpt", response)]


def conversations(turns: Sequence[Turn], *, image: bool) -> list[dict[str, str]]:
    """Return turns in the form that trainers load, with the placeholder of the image before the first human turn."""
    first = next(place for place, turn in enumerate(turns) if turn.speaker == "human")
    # A placeholder in the text would stand for a second image in every program that loads the record.
    texts = [harmless(turn.text).strip() for turn in turns]
    texts[first] = f"{PLACEHOLDER}\n" * image + texts[first]
    return [{"from": turn.speaker, "value": text} for turn, text in zip(turns, texts, strict=True)]


def batch(
    rows: Iterable[Row], recipe: Recipe, *, keep_images: bool, keep_nodes: bool = True, waiting: str | None = None
) -> pa.Table:
    """Return rows as a table of one row, with a list column per outcome that occurs (`part_writer.unpack` reads it).

    Rows that wait for a later phase have one more column, named after their folder, `waiting`.
    """
    names = recipe.outcomes if waiting is None else (*recipe.outcomes, waiting)
    rows_of: dict[str | None, list[dict[str, Any]]] = {name: [] for name in names}
    for row in rows:
        if row.waits:
            rows_of[waiting].append(state(row, recipe))
        else:
            rows_of[recipe.outcome_of(row.route)].append(
                record(row, recipe, keep_images=keep_images, keep_nodes=keep_nodes)
            )
    occurring = [name for name in names if rows_of[name]]
    schemas = {name: waiting_columns(recipe) if name == waiting else columns_of(recipe, name) for name in occurring}
    return pa.table({name: pa.array([rows_of[name]], pa.list_(pa.struct(list(schemas[name])))) for name in occurring})
