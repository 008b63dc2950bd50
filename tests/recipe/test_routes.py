"""Routes: rows leave, are mended and come back; what a row on a route has passed is known when the recipe is loaded."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
import yaml
from oasis_ray.content.stages import clean

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError, RunError
from oasis_ray.output.schema import columns
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Node, Recipe, Ref
from oasis_ray.recipe.routes import certain, paths, possible
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import IMAGE_ONLY
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import Stage
from oasis_ray.types import Divert

REPAIR = """
name: repair
nodes:
  - {name: hook, stage: hook, pool: vlm, inputs: {image: source.image}}
  - {name: sort, stage: categorize, pool: llm, inputs: {text: hook.text}, exits: {caption: aside}, with: {prompt: categorize}}
  - {name: tidy, stage: clean, route: aside, inputs: {text: hook.text}}
  - {name: say, stage: language, route: aside, to: main, inputs: {text: tidy.text}}
  - {name: answer, stage: respond, pool: vlm, inputs: {instruction: [tidy.text, sort.instruction]}}
records:
  accepted: {data_source: a, instruction: [tidy.text, sort.instruction], response: answer.text}
"""  # noqa: E501


def bound(text: str) -> Recipe:
    spec = RecipeSpec.model_validate(yaml.safe_load(text))
    return bind(
        spec,
        where="r.yaml",
        stages=SHIPPED.stages,
        prompts=[SHIPPED.prompts],
        pools=["vlm", "llm"],
        source=IMAGE_ONLY,
    )


def node(text: str) -> Node:
    """`name@route>exit,exit=to`: a node, on route main unless said, with exits, and the route that it joins."""
    text, _, to = text.partition("=")
    text, _, exits = text.partition(">")
    name, _, route = text.partition("@")
    return Node(
        name, "stage", Stage(), None, route or "main", {}, {word: word for word in exits.split(",") if word}, to or None
    )


def nodes(text: str) -> list[Node]:
    return [node(word) for word in text.split()]


WAYS = [
    ("a b", {"main": "a b"}),
    ("a b>x c d@x", {"main": "a b c", "x": "a d"}),
    ("a b>x c@x=main d", {"main": "a d"}),
    ("a b>x,y c@x=y d@y e", {"main": "a b e", "y": "a d"}),
    ("a>x b>x c@x", {"main": "a b", "x": "c"}),
    ("a>rejected b", {"main": "a b"}),
]


@pytest.mark.parametrize(("text", "expected"), WAYS)
def test_what_every_row_on_a_route_has_passed(text: str, expected: dict[str, str]) -> None:
    given = nodes(text)
    sure = {
        route: " ".join(one.name for one in given if certain(given, {one.name}).get(route))
        for route in certain(given, ())
    }
    assert sure == expected


def test_what_some_rows_on_a_route_have_passed() -> None:
    given = nodes("a b>x c@x d@x=main e")
    assert [one.name for one in possible(given, "main")] == ["a", "b", "c", "d", "e"]
    assert [certain(given, set(names))["main"] for names in ("b", "c", "bc")] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["ab"]),
        ("a b>x c d@x", ["abc", "abd"]),
        ("a b>x c@x=main d", ["abd", "abcd"]),
        ("a>x b c@x=main d>y e@y", ["abd", "acd", "abde", "acde"]),
        ("a>rejected b", ["ab"]),
    ],
)
def test_the_paths_that_rows_can_take(text: str, expected: Sequence[str]) -> None:
    assert ["".join(one.name for one in path) for path in paths(nodes(text))] == expected


def test_rows_that_come_back_are_bound_to_the_value_that_they_have() -> None:
    recipe = bound(REPAIR)
    assert recipe.outcomes == ("accepted", "rejected", "failed")
    assert (recipe.nodes[1].exits, recipe.nodes[3].to) == ({"caption": "aside"}, "main")
    assert recipe.nodes[4].wires == {"instruction": ["tidy.text", "sort.instruction"]}
    assert recipe.records["accepted"].turns[0] == (Ref("tidy", "text"), Ref("sort", "instruction"))


MAIN_ONLY = "only some rows on route 'main' pass node 'sort'; name a list of nodes that covers all of them"
BROKEN = [
    ("exits: {caption: aside}", "exits: {captoin: aside}",
     "node 'sort': stage 'categorize' has no exit 'captoin' (it has: caption). Did you mean 'caption'?"),
    ("exits: {caption: aside}", "exits: {caption: besides}",
     "node 'tidy': no earlier node sends rows to route 'aside' (possible: main, besides)"),
    ("to: main, inputs", "inputs",
     ("rows end on route 'aside', but no record has `route: aside`; add one to `records`, or bring the rows back with "
     "`to`, or drop them with an exit to 'rejected'")),
    ("stage: clean, route: aside, ", "stage: clean, route: aside, to: main, ",
     "node 'say': all rows on route 'aside' leave it at node 'tidy' (its `to`)"),
    ("{instruction: [tidy.text, sort.instruction]}}\n", "{instruction: sort.instruction}}\n",
     f"node 'answer': input 'instruction' is bound to 'sort.instruction', but {MAIN_ONLY} (possible: source, hook)."),
    ("{instruction: [tidy.text, sort.instruction]}}\n", "{instruction: [tidy.text, say.language]}}\n",
     ("node 'answer': input 'instruction' is bound to tidy.text, say.language, but a row on route 'main' may have "
     "passed none of these nodes; add one that all rows pass")),
    ("{instruction: [tidy.text, sort.instruction]}}\n", "{instruction: [tidy.text, sort.instruktion]}}\n",
     ("node 'answer': input 'instruction' is bound to 'sort.instruktion', but 'sort' has: instruction, reply. "
     "Did you mean 'sort.instruction'?")),
    ("{instruction: [tidy.text, sort.instruction]}}\n", "{instruction: [tidy.removed, sort.instruction]}}\n",
     "node 'answer': input 'instruction' must be text, but 'tidy.removed' is number"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "problem"), BROKEN)
def test_a_broken_route_is_reported_when_the_recipe_is_loaded(old: str, new: str, problem: str) -> None:
    assert old in REPAIR
    with pytest.raises(JobError) as error:
        bound(REPAIR.replace(old, new))
    assert problem in [text.removeprefix("r.yaml, ").removeprefix("r.yaml: ") for text in error.value.problems]


MEND = """
name: mend
nodes:
  - {name: hook, stage: hook, pool: vlm, inputs: {image: source.image}}
  - {name: judge, stage: score, pool: llm, inputs: {instruction: hook.text}, with: {prompt: nonsense, accept: [5], near_miss: [4]}, exits: {near_miss: mend}}
  - {name: clean, stage: clean, route: mend, inputs: {text: judge.reply}}
  - {name: again, stage: score, route: mend, to: main, pool: llm, inputs: {instruction: clean.text}, with: {prompt: nonsense, accept: [5]}}
  - {name: kind, stage: pick, with: {shares: {a: 1, b: 1}}}
  - {name: sort, stage: branch, inputs: {choice: kind.choice}, with: {routes: {a: rejected}}}
records:
  accepted: {data_source: a, instruction: hook.text, response: [clean.text, hook.text], scores: {judge: [again.score, judge.score]}}
"""  # noqa: E501


def mended(old: str, new: str) -> list[str]:
    """The problems of MEND with `old` replaced by `new`; none if it is bound."""
    assert old in MEND
    try:
        bound(MEND.replace(old, new))
    except JobError as error:
        return [text.removeprefix("r.yaml, ") for text in error.problems]
    return []


def test_a_row_that_left_by_an_exit_with_output_has_the_output_of_the_node() -> None:
    assert mended("judge.reply", "judge.reply") == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[again.score, judge.score]", "[judge.score, again.score]",
         ("record 'accepted': score 'judge': 'again.score' is never taken, because every row has judge.score; "
          "put the later node first")),
        ("[clean.text, hook.text]", "[hook.text, clean.text]",
         ("record 'accepted': 'response': 'clean.text' is never taken, because every row has hook.text; "
          "put the later node first")),
        ("{a: rejected}", "{c: rejected}", "node 'sort': no row has the word 'c' (possible: a, b)."),
        ("{a: rejected}", "{A: rejected}", "node 'sort': no row has the word 'A' (possible: a, b)."),
    ],
)  # fmt: skip
def test_what_would_never_happen_is_reported(old: str, new: str, problem: str) -> None:
    assert mended(old, new) == [problem]


def records(text: str) -> str:
    """The first message of a recipe with these records."""
    given = yaml.safe_load(REPAIR) | {"records": yaml.safe_load(text)}
    with pytest.raises(ValueError, match="records") as error:
        RecipeSpec.model_validate(given)
    return str(error.value.errors()[0]["msg"])  # type: ignore[attr-defined]


REST = "data_source: a, instruction: a.b, response: a.b"
INVALID = "'{}' can't be the folder of a record: use lower-case letters, digits and _, and none of rejected, failed, "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{{drafts: {{route: x, {REST}}}}}", "there is no record 'accepted', that of rows that reach the end"),
        (f"{{accepted: {{route: x, {REST}}}}}", "'accepted' is the record of route 'main', not of 'x'"),
        (f"{{accepted: {{{REST}}}, failed: {{route: x, {REST}}}}}", INVALID.format("failed")),
        (f"{{accepted: {{{REST}}}, report: {{route: x, {REST}}}}}", INVALID.format("report")),
        (f"{{accepted: {{{REST}}}, ../x: {{route: x, {REST}}}}}", INVALID.format("../x")),
        (f"{{accepted: {{{REST}}}, b: {{{REST}}}}}", "'accepted' and 'b' are both records of route 'main'; give 'b'"),
        (
            f"{{accepted: {{{REST}}}, b: {{route: failed, {REST}}}}}",
            "'failed' is where rows end; no node and no record",
        ),
    ],
)
def test_records_that_cannot_be_folders_are_reported(text: str, problem: str) -> None:
    assert problem in records(text)


def test_an_exit_may_drop_rows() -> None:
    dropped = REPAIR.replace("exits: {caption: aside}", "exits: {caption: rejected}")
    dropped = "\n".join(line for line in dropped.splitlines() if "route: aside" not in line)
    recipe = bound(dropped.replace("[tidy.text, sort.instruction]", "sort.instruction"))
    assert recipe.nodes[1].destination(Divert("caption", "caption")) == "rejected"


def test_a_stage_that_diverts_to_an_exit_that_it_does_not_declare_ends_the_run() -> None:
    with pytest.raises(RunError) as error:
        bound(REPAIR).nodes[1].destination(Divert("elsewhere", "odd"))
    assert str(error.value) == (
        "node 'sort': stage 'categorize' diverts a row to 'elsewhere', which is not one of its exits (possible: "
        "rejected, failed, caption); add it to the stage's `exits`"
    )


MAYBE = REPAIR.replace(
    "response: answer.text}",
    "response: answer.text, columns: {tidied: [tidy.text, null]}, scores: {cut: [tidy.removed, null]}}",
)


def test_a_value_that_not_every_row_has_is_null_in_the_record() -> None:
    record = bound(MAYBE).records["accepted"]
    row = Row("r", {}, None, None)
    assert (row.value(record.columns["tidied"]), row.value(record.scores["cut"])) == (None, None)
    row.values["tidy"] = clean.Out("tidy", 0.25)
    assert (row.value(record.columns["tidied"]), row.value(record.scores["cut"])) == ("tidy", 0.25)
    types = columns(bound(MAYBE), "accepted")
    assert types.field("columns").type == pa.struct({"tidied": pa.string()})
    assert types.field("scores").type == pa.struct({"cut": pa.float64()})


@pytest.mark.parametrize(
    ("given", "wrong", "problem"),
    [
        (
            "[tidy.text, null]",
            "tidy.text",
            (
                "r.yaml, record 'accepted': column 'tidied' is bound to 'tidy.text', but only some rows on route "
                "'main' pass node 'tidy'; name a list of nodes that covers all of them, or end the list with null "
                "(possible: source, hook, answer)."
            ),
        ),
        (
            "[tidy.text, null]",
            "[null, tidy.text]",
            (
                "r.yaml, record 'accepted': column 'tidied': null may stand only at the end of the list, once: it is "
                "used if the row has none of the values before"
            ),
        ),
        (
            "{instruction: [tidy.text, sort.instruction]}}\nrecords",
            "{instruction: [tidy.text, null]}}\nrecords",
            "r.yaml, node 'answer': input 'instruction' must be text, and can't be null; remove null from the list",
        ),
    ],
)
def test_a_null_that_is_wrong_is_reported(given: str, wrong: str, problem: str) -> None:
    with pytest.raises(JobError) as caught:
        bound(MAYBE.replace(given, wrong))
    assert caught.value.problems == (problem,)
