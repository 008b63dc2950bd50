"""A search looks at all turns of a conversation, wherever the row holds it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.explore.query import Filter, Rows
from oasis_ray.recipe.row import Row
from oasis_ray.types import REJECTED, Turn
from tests.support.shards import picture
from tests.support.talks import talk, turns, view, write_talks

TALK = turns(
    "What is it?", "A square.", "Which COLOUR?", "It's <b>teal</b>.", "And <image>?", "None.", system="Be kind."
)
SPEECH = [Turn("human", "A toast!"), Turn("gpt", "Cheers.")]


def rejected(name: str, said: list[Turn]) -> Row:
    """A row that was rejected after a node had made its conversation."""
    made = talk(name, said)
    made.route, made.node, made.reason, made.detail = REJECTED, "talk", "score_1", "dull"
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = [
        talk("short", turns("What is it?", "A dot."), picture()),
        talk("long", TALK, picture(), speech=SPEECH, kinds=["name", "hue", None]),
        rejected("dropped", TALK[:4]),
        view("view", "What is there?", "A house."),
    ]
    return write_talks(tmp_path_factory.mktemp("talks"), made, a_part=4)


FOUND = {
    "what is it": ["long", "short", "dropped"],
    "which colour": ["long", "dropped"],
    "it's <B>TEAL": ["long"],
    "none.": ["long"],
    "be kind": ["long", "dropped"],
    "cheers": ["long"],  # another conversation of the row, in the output of a node
    "A house.": ["view"],
    "human": [],
    "system": [],
    "speaker": [],
}


def found(rows: Rows, text: str) -> list[str]:
    return [row["id"] for row in rows.page(Filter(text=text))["rows"]]


def test_a_row_is_found_by_any_turn_and_by_no_word_of_the_format(run: Path) -> None:
    rows = Rows(str(run), "ada")
    assert {text: found(rows, text) for text in FOUND} == FOUND
    assert rows.overview()["unreadable"] == []
    (row,) = rows.page(Filter(text="None."))["rows"]
    assert (row["id"], row["said"]) == ("long", "What is it?")  # listed with its first question


def test_a_record_without_the_outputs_of_nodes_is_found_by_any_turn_and_not_by_the_placeholder_of_its_image(
    run: Path, tmp_path: Path
) -> None:
    for file in run.rglob("accepted/part-*.parquet"):
        (tmp_path / "run/accepted").mkdir(parents=True)
        pq.write_table(pq.read_table(file).drop_columns(["nodes"]), tmp_path / "run/accepted" / file.name)
    (tmp_path / "run/run.json").write_bytes((run / "run.json").read_bytes())
    rows = Rows(str(tmp_path / "run"), "ada")
    texts = ("What is it?", "which colour", "None.", "be kind", "<image>", "human")
    assert {text: found(rows, text) for text in texts} == {
        "What is it?": ["long", "short"], "which colour": ["long"], "None.": ["long"], "be kind": ["long"],
        "<image>": [], "human": [],
    }  # fmt: skip


def test_texts_of_elements_are_found_however_deep_their_lists_are(run: Path) -> None:
    said = [{"speaker": "human", "text": "to be"}, {"speaker": "gpt", "text": "or not"}]
    nodes = {
        "split": [{"parts": ["one", None, "two"], "counts": [1]}, None, {"parts": None, "counts": None}],
        "talk": [{"turns": said, "counts": []}, {"turns": None, "counts": None}],
        "last": {"turn": said[0], "flags": [[True]]},
    }
    kinds = pa.array([nodes]).type
    table = pa.table({"id": ["deep", "none"], "nodes": pa.array([nodes, None], kinds), "node": ["x", "y"]})
    folder = write_talks(run.parent, [talk("a", turns("q", "a"))], name="deep")
    (folder / "rejected").mkdir()
    pq.write_table(table, folder / "rejected/part-0.parquet")
    rows = Rows(str(folder), "ada")
    texts = ("two", "or not", "to be", "gpt", "true")
    assert {text: found(rows, text) for text in texts} == {
        "two": ["deep"], "or not": ["deep"], "to be": ["deep"], "gpt": [], "true": [],
    }  # fmt: skip
    assert rows.overview()["unreadable"] == []
