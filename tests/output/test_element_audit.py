"""The audit of the elements of lists: what a run folder holds of them agrees, and each kind of damage is a fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.output.audit import Audit, audit
from oasis_ray.output.element_audit import RESTORE, Lists, PartElements
from oasis_ray.output.element_sums import RECOUNT
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.schema import ELEMENT_STEP, ELEMENTS
from tests.support.jobs import execute
from tests.support.list_runs import SUMS, Row, change, entry, list_run


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The job of a run that keeps the outputs of nodes (`all`), and of one that does not (`none`)."""
    return {nodes: list_run(tmp_path_factory.mktemp(nodes), nodes) for nodes in ("all", "none")}


@pytest.fixture
def copy(jobs: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Makes a copy of one of these runs, to damage it."""
    return lambda nodes: Path(shutil.copytree(jobs[nodes].parent / "run", tmp_path / "run"))


def counted(node: str, count: int, *dropped: int) -> Callable[[Row], None]:
    """Damage: the entry of a node has this count, and these elements dropped."""
    drops = [{"element": place, "outcome": "rejected", "reason": "x", "detail": ""} for place in dropped]
    return lambda row: entry(row, node).update(count=count, dropped=drops)


def without(node: str) -> Callable[[Row], None]:
    return lambda row: row["elements"].remove(entry(row, node))


def output(node: str, *places: int, length: int = 5) -> Callable[[Row], None]:
    """Damage: the output of a node is at these places of a list of this length."""

    def damage(row: Row) -> None:
        one = next(out for out in row["nodes"][node] if out is not None)
        row["nodes"][node] = [one if place in places else None for place in range(length)]

    return damage


def both(*damages: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: [damage(row) for damage in damages]


@pytest.mark.parametrize("nodes", ["all", "none"])
def test_a_sound_run_has_no_faults_and_the_sums_of_each_node(nodes: str, jobs: dict[str, Path]) -> None:
    outcomes = {"accepted": 1, "rejected": 3, "failed": 0}
    assert audit(str(jobs[nodes].parent / "run")) == Audit(4, outcomes, 2, [], [], SUMS)


RECORDS = "column 'elements' records"
LAST = "the last that worked on this list, kept"
# In a run with the outputs of nodes or without: the damage of the row "good", and what is wrong at which node.
DAMAGES: dict[str, tuple[str, Callable[[Row], Any], str]] = {
    "a count is raised": ("all", counted("clarity", 3),
        f"node 'clarity': {RECORDS} 3 elements, but it has an output or a reason for 2"),
    "a count is lowered": ("all", counted("kind", 4),
        f"node 'kind': {RECORDS} 4 elements, but it has an output or a reason for 5"),
    "a drop is missing": ("all", counted("distinct", 4),
        f"node 'distinct': {RECORDS} 4 elements, but it has an output or a reason for 3"),
    "a drop and its count are missing": ("all", counted("distinct", 3),
        f"node 'distinct': it worked on 3 elements, but node 'questions', {LAST} 4"),
    "an output is missing": ("all", output("respond", 0),
        f"node 'respond': {RECORDS} 2 elements, but it has an output or a reason for 1"),
    "an output and its count are missing": ("all", both(output("respond", 0), counted("respond", 1)),
        "node 'respond': the lineage has a request for the element at 4, which has no output and no reason"),
    "an entry is missing": ("all", without("gate"),
        "node 'gate': its output is a list, and column 'elements' has no entry for it"),
    "an entry of a node that drops some is missing": ("all", without("distinct"),
        "node 'distinct': its output is a list, and column 'elements' has no entry for it"),
    "an entry is there twice": ("all", lambda row: row["elements"].append(entry(row, "respond")),
        "node 'respond': column 'elements' has two entries for it"),
    "an element is dropped twice": ("all", counted("distinct", 4, 2, 2),
        f"node 'distinct': {RECORDS} 4 elements, of which it dropped those at 2, 2"),
    "more are dropped than there were": ("none", counted("gate", 2, 0, 1, 2),
        f"node 'gate': {RECORDS} 2 elements, of which it dropped those at 0, 1, 2"),
    "a negative position": ("none", counted("gate", 2, -1),
        f"node 'gate': {RECORDS} 2 elements, of which it dropped those at -1"),
    "a drop beyond the list": ("all", counted("gate", 3, 9),
        "node 'gate': its list has 5 elements, but no element at 9, which it worked on"),
    "a list is shorter": ("all", output("respond", 0, 1, length=4),
        "node 'respond': its list has 4 elements, but no element at 4, which it worked on"),
    "a list is longer": ("all", output("gate", 0, 4, length=6),
        "node 'gate': its list has 6 positions, but that of node 'clarity' has 5"),
    "other elements": ("all", output("gate", 0, 3),
        "node 'gate': it worked on other elements than node 'clarity' kept"),
    "a count that no output shows": ("none", counted("clarity", 3),
        f"node 'clarity': it worked on 3 elements, but node 'solvability', {LAST} 2"),
    "fewer than were asked about": ("none", counted("respond", 1),
        f"node 'respond': {RECORDS} 1 element, but the lineage has requests for 2"),
    "a record without elements": ("none", counted("respond", 2, 0, 4),
        "node 'respond': it kept no element, but the row is in 'accepted'"),
    "a list of the record is shorter": ("none", lambda row: row["columns"]["solvability"].pop(),
        f"value 'solvability' of column 'columns': it has 1 element, but node 'respond', {LAST} 2"),
    "a null": ("all", lambda row: row.update(elements=None),
        "column 'elements': it is null, or an entry of it is incomplete"),
    "a count of null": ("all", lambda row: entry(row, "kind").update(count=None),
        "column 'elements': it is null, or an entry of it is incomplete"),
    "a drop of null": ("all", lambda row: entry(row, "distinct").update(dropped=[None]),
        "column 'elements': it is null, or an entry of it is incomplete"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGES)
def test_a_row_whose_counts_disagree_is_a_fault(case: str, copy: Callable[[str], Path]) -> None:
    nodes, damage, wrong = DAMAGES[case]
    run = copy(nodes)
    part = change(run, damage)
    faults = audit(str(run)).faults
    sums = [fault for fault in faults if fault.endswith(RECOUNT)]
    assert [fault for fault in faults if fault not in sums] == [f"{part}: row 'good', {wrong}; {RESTORE}"]


OF_CLARITY, MORE = "3 elements = 2 kept + 1 rejected: score_2", "4 elements = 3 kept + 1 rejected: score_2"


def test_a_changed_count_is_a_fault_of_the_row_and_one_of_the_sums(copy: Callable[[str], Path]) -> None:
    run = copy("all")
    part = change(run, counted("clarity", 3))
    assert audit(str(run)).faults == [
        f"{part}: row 'good', node 'clarity': {RECORDS} 3 elements, but it has an output or a reason for 2; {RESTORE}",
        f"node 'clarity': run.json records {OF_CLARITY}, the parts hold {MORE}; {RECOUNT}",
    ]


def test_a_part_that_is_deleted_as_the_fault_says_is_made_again(
    copy: Callable[[str], Path], jobs: dict[str, Path]
) -> None:
    run = copy("all")
    change(run, counted("clarity", 3)).unlink()
    execute(jobs["all"], f"output.path={run}")
    assert audit(str(run)) == audit(str(jobs["all"].parent / "run"))


def test_problems_of_several_rows_are_one_fault_for_each_node(copy: Callable[[str], Path]) -> None:
    run = copy("all")
    for name in ("captions", "poor"):
        part = change(run, both(counted("kind", 9), without("questions")), name, "rejected")
    rows = [fault for fault in audit(str(run)).faults if not fault.endswith(RECOUNT)]
    wrong = {
        "questions": "its output is a list, and column 'elements' has no entry for it",
        "kind": f"{RECORDS} 9 elements, but it has an output or a reason for 2",
    }
    assert rows == [
        f"{part}: row 'captions', node '{node}': {text} (1 more row with a problem there); {RESTORE}"
        for node, text in wrong.items()
    ]


def test_elements_of_another_type_cannot_be_read(copy: Callable[[str], Path]) -> None:
    run = copy("all")
    (part,) = (run / "accepted").glob("*.parquet")
    table = pq.read_table(part)
    place = table.schema.get_field_index("elements")
    pq.write_table(table.set_column(place, "elements", pa.array([[1]])), part)
    assert audit(str(run)).faults[0].startswith(f"{part} can't be read: column 'elements' is list<")


CHANGED: dict[str, tuple[Callable[[Row], Any], str, str]] = {
    "a node, and lists that keep step": (
        counted("clarity", 3), "clarity",
        f"node 'clarity': it worked on 3 elements, but node 'solvability', {LAST} 2",
    ),
    "a value of the record": (
        lambda row: row["columns"]["clarity"].pop(), "",
        f"value 'clarity' of column 'columns': it has 1 element, but node 'respond', {LAST} 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_what_may_be_of_another_configuration_is_no_fault(case: str, copy: Callable[[str], Path]) -> None:
    damage, changed, wrong = CHANGED[case]
    run = copy("none")
    part = change(run, damage)
    assert audit(str(run)).faults[0] == f"{part}: row 'good', {wrong}; {RESTORE}"
    manifest = read_manifest(str(run))
    nodes = [
        {"name": node["name"], "digest": "other" if node["name"] == changed else node["digest"]}
        for node in manifest["nodes"]
    ]
    manifest["earlier"] = [{"nodes": nodes, "records": {}}]
    (run / "run.json").write_text(json.dumps(manifest))
    assert [fault for fault in audit(str(run)).faults if not fault.endswith(RECOUNT)] == []


def test_turns_in_a_record_do_not_keep_step_with_other_lists_of_their_node() -> None:
    entries = [{"node": "check", "count": 2, "dropped": []}]
    faults = {}
    for kind, value in (("texts", ["a"]), ("turns", [{"speaker": "human", "text": "a"}])):
        columns = pa.array([{"lines": value}])
        batch = pa.record_batch(
            {"id": ["r"], "elements": pa.array([entries], ELEMENTS), "lineage": pa.array([[]], pa.list_(ELEMENT_STEP)),
             "columns": columns}
        )  # fmt: skip
        part = PartElements("accepted", Lists({"check": "split"}, {"accepted": {"lines": "split"}}))
        part.add(batch)
        faults[kind] = part.faults()
    text = f"row 'r', value 'lines' of column 'columns': it has 1 element, but node 'check', {LAST} 2; {RESTORE}"
    assert faults == {"texts": [text], "turns": []}
