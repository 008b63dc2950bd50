"""Funnel: rows that reach and leave each node, and the shares that are compared with published rates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.counts import Counts, EndedRow, Usage
from oasis_ray.output.funnel import Exit, Passage, passages, shares
from oasis_ray.output.manifest import describe
from oasis_ray.recipe.spec import RateSpec
from oasis_ray.types import FAILED, REJECTED

Make = Callable[..., dict[str, Any]]
STEP = {"node": "hook", "prompt_tokens": 9, "cached_tokens": 4, "reply_tokens": 3, "seconds": 0.5}
MOVE = [{"node": "categorize", "route": "caption", "reason": "caption", "detail": ""}]
ROWS = [
    (EndedRow("accepted", None, None, [STEP]), 6),
    (EndedRow("captions", None, None, [STEP], MOVE), 4),
    (EndedRow("rejected", "caption_language", "score_2", [STEP], MOVE), 2),
    (EndedRow("failed", "caption_coherence", "no_verdict", [STEP], MOVE), 1),
    (EndedRow("rejected", "nonsense", "score_1", [STEP]), 3),
    (EndedRow("rejected", "nonsense", "score_2", [STEP]), 2),
    (EndedRow("failed", "clarity", "no_verdict", [STEP]), 1),
    (EndedRow("rejected", "gate", "solvability_clarity_below_7", [STEP]), 2),
    (EndedRow("failed", "categorize", "no_kind", [STEP]), 5),
    (EndedRow("failed", "admit", "image_truncated", [STEP]), 1),
]


@pytest.fixture
def manifest(job_file: Callable[..., Path]) -> Make:
    def make(**nodes: Any) -> dict[str, Any]:
        job, recipe = load_job(job_file(nodes=nodes), SHIPPED)
        return describe(job, recipe, dict.fromkeys((node.name for node in recipe.nodes), ""), 27)

    return make


def counts_of() -> Counts:
    counts = Counts()
    for row, count in ROWS:
        counts.add([row] * count)
    return counts


def test_rows_reasons_and_usage_are_counted() -> None:
    counts = counts_of()
    assert dict(counts.outcomes) == {"accepted": 6, "captions": 4, "rejected": 9, "failed": 8}
    assert counts.reasons == {row[:3]: count for row, count in ROWS if row.reason}
    assert counts.moves == {("categorize", "caption", "caption"): 7}
    assert counts.costs == {"hook": Usage(27, 27 * 9, 27 * 4, 27 * 3, 13.5)}
    assert (counts.rows, counts.reply_tokens) == (27, 81)


def test_every_row_that_reaches_a_node_leaves_there_or_continues(manifest: Make) -> None:
    assert passages(manifest(), counts_of()) == [
        Passage("admit", 27, {Exit(FAILED, "image_truncated"): 1}),
        Passage("hook", 26, {}),
        Passage("categorize", 26, {Exit(FAILED, "no_kind"): 5, Exit("caption"): 7}),
        Passage("nonsense", 14, {Exit(REJECTED, "score_1"): 3, Exit(REJECTED, "score_2"): 2}),
        Passage("hallucination", 9, {}),
        Passage("solvability", 9, {}),
        Passage("clarity", 9, {Exit(FAILED, "no_verdict"): 1}),
        Passage("gate", 8, {Exit(REJECTED, "solvability_clarity_below_7"): 2}),
        Passage("respond", 6, {}),
        Passage("caption_clean", 7, {}),
        Passage("caption_language", 7, {Exit(REJECTED, "score_2"): 2}),
        Passage("caption_information", 5, {}),
        Passage("caption_coherence", 5, {Exit(FAILED, "no_verdict"): 1}),
        Passage("spoken", 4, {}),
        Passage("pair", 4, {}),
    ]


def test_the_ends_of_both_routes_are_the_accepted_and_the_captions(manifest: Make) -> None:
    through = {passage.node: passage.through for passage in passages(manifest(), counts_of())}
    assert (through["respond"], through["pair"]) == (6, 4)


def test_rows_that_come_back_to_a_route_pass_its_later_nodes() -> None:
    nodes = [
        {"name": "sort", "route": "main", "to": None, "diverts": ["aside"]},
        {"name": "ask", "route": "aside", "to": "main", "diverts": []},
        {"name": "answer", "route": "main", "to": None, "diverts": []},
    ]
    aside = [{"node": "sort", "route": "aside", "reason": "no_question", "detail": ""}]
    back = [{"node": "ask", "route": "main", "reason": "", "detail": ""}]
    for moves in ([*aside, *back], aside):  # runs of earlier versions recorded no move of `to`
        counts = Counts()
        counts.add([EndedRow("accepted", None, None, [])] * 5 + [EndedRow("accepted", None, None, [], moves)] * 3)
        counts.add([EndedRow("rejected", "ask", "empty", [], aside)] * 2)
        assert passages({"nodes": nodes}, counts) == [
            Passage("admit", 10, {}),
            Passage("sort", 10, {Exit("aside"): 5}),
            Passage("ask", 5, {Exit(REJECTED, "empty"): 2}),
            Passage("answer", 8, {}),
        ]


def test_a_share_excludes_the_rows_that_failed(manifest: Make) -> None:
    run = manifest()
    sort, judged = map(RateSpec.model_validate, run["rates"])
    assert shares(run, counts_of()) == [(sort, 14, 21), (judged, 6, 13)]
    assert shares(run, Counts()) == [(sort, 0, 0), (judged, 0, 0)]


@pytest.mark.parametrize("node", ["nonsense", "gate"])
def test_a_share_whose_nodes_are_disabled_is_left_out(node: str, manifest: Make) -> None:
    run = manifest(**{node: {"enabled": False}})
    assert shares(run, counts_of()) == [(RateSpec.model_validate(run["rates"][0]), 14, 21)]


def test_a_run_without_rows_has_an_empty_funnel(manifest: Make) -> None:
    empty = [Passage("admit", 0, {}), Passage("hook", 0, {}), Passage("categorize", 0, {Exit("caption"): 0})]
    assert passages(manifest(), Counts())[:3] == empty


def test_an_exit_is_shown_with_its_reason_or_its_route() -> None:
    assert [str(Exit(FAILED, "no_kind")), str(Exit("caption"))] == ["failed: no_kind", "to route caption"]
