"""Bill: a pool's cost is divided by the seconds of requests, and every GPU-second is counted once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cost.bill import Amount, Bill, Line, Spent, bill, spent_by
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Counts, End, EndedRow, Usage
from oasis_ray.output.ledger import counts_of
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected

POOLS = {"hook": "vlm", "sort": "llm", "judge": "vlm", "gate": None}
PRICES = Prices(currency="EUR", gpu_hour=3.6, gpus={"H100": 7.2})


def step(node: str, seconds: float) -> dict[str, Any]:
    return {"node": node, "prompt_tokens": 10, "cached_tokens": 4, "reply_tokens": 2, "seconds": seconds}


def counts() -> Counts:
    ended = Counts()
    ended.add(
        [
            EndedRow("accepted", None, None, [step("hook", 1), step("sort", 2), step("judge", 3)]),
            EndedRow("accepted", None, None, [step("hook", 1), step("sort", 2), step("judge", 3)]),
            EndedRow("captions", None, None, [step("hook", 1), step("sort", 2)]),
            EndedRow("rejected", "judge", "score_1", [step("hook", 1), step("sort", 2), step("judge", 6)]),
            EndedRow("failed", "admit", "image_broken", []),
        ]
    )
    return ended


def test_counts_keep_the_usage_by_outcome_and_node() -> None:
    hook, sort = Usage(1, 10, 4, 2, 1.0), Usage(1, 10, 4, 2, 2.0)
    assert counts().spent == {
        End("accepted"): {"hook": Usage(2, 20, 8, 4, 2), "sort": Usage(2, 20, 8, 4, 4), "judge": Usage(2, 20, 8, 4, 6)},
        End("captions"): {"hook": hook, "sort": sort},
        End("rejected", "judge", "score_1"): {"hook": hook, "sort": sort, "judge": Usage(1, 10, 4, 2, 6.0)},
    }


def test_the_counts_of_parts_are_those_of_the_rows(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    rows = [accepted("a"), accepted("b"), caption("c"), rejected("d"), rejected("e", "nonsense", 2), failed("f")]
    folder = RunFolder(tmp_path / "run", job_file())
    folder.part("x-0", *rows[:3], rows[5])
    folder.part("x-1", *rows[3:5], failed("g", "image_missing"))
    live = Counts()
    outcome_of = folder.recipe.outcome_of
    live.add(
        EndedRow(outcome_of(row.route), row.node, row.reason, row.lineage, row.moves)
        for row in [*rows, failed("g", "image_missing")]
    )
    assert counts_of(str(folder.path)) == live


def test_gpu_seconds_are_divided_by_the_seconds_of_requests() -> None:
    # The pool vlm used 160 GPU-seconds for 16 seconds of requests, the pool llm 4 for 8.
    result = bill(counts(), POOLS, {"vlm": Spent(gpu_seconds=160.0), "llm": Spent(gpu_seconds=4.0)})
    assert {(line.outcome, line.node, line.reason): (line.rows, line.gpu_seconds) for line in result.lines} == {
        ("accepted", "", ""): (2, 80 + 2.0),
        ("captions", "", ""): (1, 10 + 1.0),
        ("rejected", "judge", "score_1"): (1, 70 + 1.0),
        ("failed", "admit", "image_broken"): (1, 0.0),
    }
    assert {node: amount.gpu_seconds for node, amount in result.nodes.items()} == {
        "hook": 40.0,
        "sort": 4.0,
        "judge": 120.0,
    }
    assert result.total == Amount(
        requests=11, prompt_tokens=110, cached_tokens=44, reply_tokens=22, gpu_seconds=164.0, money=None
    )
    assert result.per_accepted_row == Spent(gpu_seconds=82.0)


def test_lines_and_nodes_have_the_same_total() -> None:
    result = bill(counts(), POOLS, {"vlm": Spent(gpu_seconds=7.3, money=0.3), "llm": Spent(gpu_seconds=1.9, money=0.1)})
    for split in (result.lines, result.nodes.values()):
        for key in ("requests", "prompt_tokens", "cached_tokens", "reply_tokens", "gpu_seconds", "money"):
            assert sum(getattr(amount, key) for amount in split) == pytest.approx(getattr(result.total, key)), key


def test_a_pool_without_a_finished_request_is_in_the_total() -> None:
    result = bill(Counts(), POOLS, {"vlm": Spent(gpu_seconds=50.0, money=1.0)}, "EUR")
    assert (result.total.gpu_seconds, result.total.money, result.lines, result.per_accepted_row) == (
        50.0,
        1.0,
        (),
        None,
    )


def test_engines_of_a_named_type_cost_its_price_and_others_the_highest() -> None:
    prices = Prices(currency="EUR", gpu_hour=3.6, gpus={"H100": 7.2, "L4": 1.8})
    session = {
        "gpu_seconds": {"vlm": 1000.0, "llm": 500.0}, "gpus": ["H100", "L4"],
        "gpu_seconds_of_types": {"vlm": {"H100": 300.0, "L4": 500.0, "unpriced": 100.0}},
    }  # fmt: skip
    assert {pool: pytest.approx(cost.money) for pool, cost in spent_by([session], prices).items()} == {
        "vlm": 0.6 + 0.25 + 0.2 + 0.2,
        "llm": 1.0,
    }


def test_sessions_are_added_each_at_its_own_price() -> None:
    sessions = [
        {"name": "an older version", "seconds": 5},
        {"gpu_seconds": {"vlm": 1000.0, "llm": 500.0}, "gpus": ["H100"]},
        {"gpu_seconds": {"vlm": 1000.0}, "gpus": []},
    ]
    spent = spent_by(sessions, PRICES)
    assert {pool: (cost.gpu_seconds, pytest.approx(cost.money)) for pool, cost in spent.items()} == {
        "vlm": (2000.0, 2.0 + 1.0),
        "llm": (500.0, 1.0),
    }
    assert spent_by(sessions, None) == {"vlm": Spent(gpu_seconds=2000.0), "llm": Spent(gpu_seconds=500.0)}


def test_a_bill_survives_serialisation() -> None:
    result = bill(counts(), POOLS, {"vlm": Spent(gpu_seconds=160.0, money=2.0)}, "EUR")
    assert Bill.model_validate_json(result.model_dump_json()) == result
    assert result.lines[0] == Line(
        outcome="accepted", node="", reason="", rows=2, requests=6, prompt_tokens=60, cached_tokens=24, reply_tokens=12,
        gpu_seconds=80.0, money=1.0,
    )  # fmt: skip
