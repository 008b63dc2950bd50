"""A recipe whose records are conversations with further values, and rows of it that have ended."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from oasis_ray.recipe.row import Row
from oasis_ray.stage import Divert, RowStage
from oasis_ray.types import MAIN, Turn
from tests.support.ended_rows import write_run
from tests.support.jobs import write_job

HERE = "tests.support.talks"


@dataclass(frozen=True, slots=True)
class In:
    """An optional word."""

    word: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation, and values of it: one for each question, or of another number."""

    turns: list[Turn]
    kinds: list[str] | None = None  # one for each question
    depths: list[int] | None = None  # one for each question
    tags: list[str] | None = None  # as many as there are
    speech: list[Turn] | None = None
    note: str | None = None
    rate: float | None = None
    sure: bool | None = None
    grade: int = 3
    gain: float = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """A question, its answer, and values of another recipe's kind."""

    asked: str
    answered: str
    place: str | None = None
    rate: int | None = None
    grade: float = 0.5


class Hold(RowStage[In, Talk]):
    """Makes no conversation: the rows of tests have theirs."""

    @property
    def exits(self) -> tuple[str, ...]:
        return ("beside",)

    def apply(self, row: In) -> Talk | Divert:
        raise NotImplementedError


class Look(RowStage[In, View]):
    """Makes no view: the rows of tests have theirs."""

    def apply(self, row: In) -> View:
        raise NotImplementedError


COLUMNS = ("kinds", "depths", "tags", "speech", "note", "rate", "sure")
RECIPE: dict[str, Any] = {
    "name": "talks",
    "source": {"image": "optional image", "way": "optional text"},
    "nodes": [
        {"name": "talk", "stage": f"{HERE}:Hold", "inputs": {"word": "source.way"}},
        {"name": "look", "stage": f"{HERE}:Look", "route": "beside", "inputs": {}},
    ],
    "records": {
        "accepted": {
            "data_source": "talk", "conversation": "talk.turns",
            "scores": {"grade": "talk.grade", "gain": "talk.gain"},
            "columns": {name: f"talk.{name}" for name in COLUMNS},
        },
        "views": {
            "route": "beside", "data_source": "view", "instruction": "look.asked", "response": "look.answered",
            "scores": {"grade": "look.grade"}, "columns": {"place": "look.place", "rate": "look.rate"},
        },
    },
}  # fmt: skip


def turns(*texts: str, system: str | None = None) -> list[Turn]:
    """Turns of human and gpt with these texts, after a system turn if one is given."""
    first = [] if system is None else [Turn("system", system)]
    return [*first, *(Turn("human" if at % 2 == 0 else "gpt", text) for at, text in enumerate(texts))]


def talk(name: str, said: list[Turn], data: bytes | None = None, **given: Any) -> Row:
    """A row that ended with this conversation."""
    return _row(name, MAIN, "talk", Talk(said, **given), data)


def view(name: str, asked: str, answered: str, data: bytes | None = None, **given: Any) -> Row:
    """A row that ended on the other route."""
    return _row(name, "beside", "look", View(asked, answered, **given), data)


def _row(name: str, route: str, node: str, out: Any, data: bytes | None) -> Row:
    place = {"file": "s", "row_group": 0, "row": 0}
    image, digest = ({"bytes": data, "path": None}, sha256(data).hexdigest()) if data else (None, None)
    return Row(name, place, image, digest, route=route, values={node: out})


def write_talks(folder: Path, rows: list[Row], name: str = "talks", a_part: int = 2, **keys: Any) -> Path:
    """Write a run of these rows; `keys` replace those of the recipe."""
    folder.mkdir(exist_ok=True)
    recipe = folder / f"{name}.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"name": name} | keys), encoding="utf-8")
    return write_run(folder / name, write_job(folder, recipe=str(recipe), pools={}), rows, a_part=a_part)
