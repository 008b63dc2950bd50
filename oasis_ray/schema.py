"""The columns of a run's Parquet parts, one schema a fate. `docs/run-folder.md` describes each.

A row that waits for a later phase (`phases`) is written with all that is needed to go on: `state`, and back: `resume`.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import pyarrow as pa

from oasis_ray.contract import arrow, types_of
from oasis_ray.placeholders import PLACEHOLDER, harmless
from oasis_ray.recipe import Node, Recipe, Ref, passed
from oasis_ray.rows import FATE_OF, Divert, Fate, Route

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # what `datasets` loads as pictures
ADDRESS = pa.struct({"file": pa.string(), "row_group": pa.int32(), "row": pa.int64()})
TURN = pa.struct({"from": pa.string(), "value": pa.string()})
STEP = pa.struct(
    {
        "node": pa.string(), "digest": pa.string(), "seed": pa.int64(), "finish": pa.string(),
        "prompt_tokens": pa.int64(), "cached_tokens": pa.int64(), "reply_tokens": pa.int64(),
        "started": pa.float64(), "seconds": pa.float64(), "engine": pa.string(), "engine_seconds": pa.float64(),
    }
)  # fmt: skip
FIRST = pa.struct({"node": pa.string(), "reason": pa.string(), "detail": pa.string()})


@dataclass(slots=True)
class Ended:
    """A row on its way to its end: where it came from, what nodes made of it, where it stands, and how it ended.

    `first` is the judge that turned a row down that is scored in full all the same; `waits` tells that the row has not
    ended: the pool of the node `at` is not up in this phase.
    """

    id: str
    address: Mapping[str, Any]
    image: Mapping[str, Any] | None
    digest: str | None
    route: Route = Route.MAIN
    node: str | None = None
    reason: str | None = None
    detail: str | None = None
    in_full: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    origin: str | None = None
    at: str = "admit"
    since: float = field(default_factory=time.monotonic)
    first: tuple[str, Divert] | None = None
    waits: bool = False
    seconds: float = 0.0  # that it was on its way

    @property
    def fate(self) -> Fate:
        """Where the row ended."""
        return FATE_OF[self.route]

    def value(self, ref: Ref) -> Any:
        """What node `ref.node` wrote as `ref.field`."""
        return getattr(self.values[ref.node], ref.field)


def columns(recipe: Recipe, fate: Fate) -> pa.Schema:
    """The columns of a part of `fate`."""
    common = {"id": pa.string(), "image": IMAGE}
    route = next(route for route, name in FATE_OF.items() if name is fate)
    if route in recipe.records:
        nodes = passed(recipe.nodes, route)
        scores = pa.struct([(axis, pa.int64()) for axis in recipe.records[route].scores])
        ending = {
            "conversations": pa.list_(TURN), "data_source": pa.string(), "instruction": pa.string(),
            "response": pa.string(),
        } | ({"scores": scores} if len(scores) else {})  # fmt: skip  # Parquet knows no empty struct
    else:
        nodes = list(recipe.nodes)
        ending = {"node": pa.string(), "reason": pa.string(), "detail": pa.string()}
        if fate is Fate.FAILED:
            ending["error"] = ending.pop("detail")
    trace = {
        "nodes": pa.struct([(node.name, _written_by(node)) for node in nodes]),
        "lineage": pa.list_(STEP), "scored_in_full": pa.bool_(), "image_sha256": pa.string(), "origin": pa.string(),
        "source": ADDRESS,
    }  # fmt: skip
    return pa.schema({**common, **ending, **trace})


def record(ended: Ended, recipe: Recipe, *, keep_images: bool) -> dict[str, Any]:
    """One row of a part, as a mapping of its columns."""
    made = recipe.records.get(ended.route)
    row: dict[str, Any] = {
        "id": ended.id,
        "image": ended.image if made or keep_images else None,
        "nodes": {name: asdict(out) for name, out in ended.values.items() if is_dataclass(out)},  # type: ignore[arg-type]
        "lineage": ended.lineage,
        "scored_in_full": ended.in_full,
        "image_sha256": ended.digest,
        "origin": ended.origin,
        "source": ended.address,
    }
    if made is None:
        told = "error" if ended.fate is Fate.FAILED else "detail"
        return {**row, "node": ended.node, "reason": ended.reason, told: ended.detail}
    instruction, response = ended.value(made.instruction), ended.value(made.response)
    # A placeholder in the text would stand for a second picture wherever the record is loaded.
    asked, answered = (harmless(text).strip() for text in (instruction, response))
    opening = f"{PLACEHOLDER}\n" if ended.digest else ""
    return {
        **row,
        "conversations": [{"from": "human", "value": opening + asked}, {"from": "gpt", "value": answered}],
        "data_source": made.data_source,
        "instruction": instruction,
        "response": response,
        "scores": {axis: ended.value(ref) for axis, ref in made.scores.items()},
    }


def waiting_columns(recipe: Recipe) -> pa.Schema:
    """The columns of a part of rows that wait for a later phase. The picture is not among them."""
    text = dict.fromkeys(("at", "route", "node", "reason", "detail"), pa.string())
    nodes = pa.struct([(node.name, _written_by(node)) for node in recipe.nodes])
    state = {
        "place": pa.int32(),
        "first": FIRST,
        "nodes": nodes,
        "lineage": pa.list_(STEP),
        "image_sha256": pa.string(),
    }
    return pa.schema({"id": pa.string(), **text, **state})


def state(row: Ended, recipe: Recipe) -> dict[str, Any]:
    """One row of such a part: `place` is the number of the node `at` which the row goes on, so more is further."""
    places = {node.name: place for place, node in enumerate(recipe.nodes)}
    first = (
        dict(zip(FIRST.names, (row.first[0], row.first[1].reason, row.first[1].detail), strict=True))
        if row.first
        else None
    )
    return {
        "id": row.id, "at": row.at, "place": places[row.at], "route": str(row.route), "first": first,
        "node": row.node, "reason": row.reason, "detail": row.detail,
        "nodes": {name: asdict(out) for name, out in row.values.items()},
        "lineage": row.lineage, "image_sha256": row.digest,
    }  # fmt: skip


def resume(row: Ended, state: Mapping[str, Any], recipe: Recipe) -> None:
    """Bring a row to where it stood when `state` was taken of it."""
    row.at, row.route, row.lineage, row.digest = (
        state["at"], Route(state["route"]), state["lineage"], state["image_sha256"]
    )  # fmt: skip
    row.node, row.reason, row.detail = state["node"], state["reason"], state["detail"]
    if (first := state["first"]) is not None:
        row.first = first["node"], Divert(Route.REJECTED, first["reason"], first["detail"])
    row.values = {
        node.name: node.out_type(**written)
        for node in recipe.nodes
        if (written := state["nodes"][node.name]) is not None
    }


def packet(rows: Iterable[Ended], recipe: Recipe, *, keep_images: bool, waiting: str | None = None) -> pa.Table:
    """Rows as one row with a list column for each fate that occurs: the form in which they go to `sink.unpack`.

    Rows that wait travel in one more column, named after the folder `waiting` that they go to.
    """
    names = [*Fate] if waiting is None else [*Fate, waiting]
    rows_of: dict[str | None, list[dict[str, Any]]] = {name: [] for name in names}
    for row in rows:
        if row.waits:
            rows_of[waiting].append(state(row, recipe))
        else:
            rows_of[row.fate].append(record(row, recipe, keep_images=keep_images))
    occur = [name for name in names if rows_of[name]]
    schemas = {name: columns(recipe, name) if isinstance(name, Fate) else waiting_columns(recipe) for name in occur}
    return pa.table({str(name): pa.array([rows_of[name]], pa.list_(pa.struct(list(schemas[name])))) for name in occur})


def _written_by(node: Node) -> pa.DataType:
    return pa.struct([(name, arrow(kind)) for name, kind in types_of(node.out_type).items()])
