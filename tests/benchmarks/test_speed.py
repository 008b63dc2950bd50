"""The speed benchmark's own rules: a deeper model says the same, and figures are what they are called."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.speed.__main__ import not_met
from benchmarks.speed.deeper import deepen
from benchmarks.speed.direct import direct
from benchmarks.speed.rounds import Round, Steady, gaps, spread
from benchmarks.speed.workload import SIMULATED
from tests.support.checkout import ROOT


@pytest.mark.parametrize("name", ["llm", "vlm"])
def test_a_deeper_model_says_the_very_same(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, Qwen2VLForConditionalGeneration

    kind = AutoModelForCausalLM if name == "llm" else Qwen2VLForConditionalGeneration
    source = ROOT / "benchmarks/models" / name
    count = deepen(source, tmp_path / name, layers=2, blocks=3 if name == "vlm" else 0)
    plain, deep = (kind.from_pretrained(folder, dtype=torch.float32) for folder in (source, tmp_path / name))
    ids = torch.arange(40).unsqueeze(0)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        assert torch.equal(plain(**given).logits, deep(**given).logits)
        if name == "vlm":  # 8 x 8 patches of 14 pixels, in two frames of three colours
            patches, grid = torch.randn(64, 3 * 2 * 14 * 14), torch.tensor([[1, 8, 8]])
            seen = [model.model.visual(patches, grid_thw=grid) for model in (plain, deep)]
            values = [one if torch.is_tensor(one) else one.last_hidden_state for one in seen]
            assert torch.equal(*values)
    assert count > sum(weight.numel() for weight in plain.parameters())


def step(node: str, started: float, seconds: float, prompt: int = 100, cached: int = 0) -> dict[str, Any]:
    return {
        "node": node, "started": started, "seconds": seconds, "prompt_tokens": prompt, "cached_tokens": cached,
        "reply_tokens": 10,
    }  # fmt: skip


ENDS = [1.0, 1.1, 1.2, 10.0, 11.0, 12.0, 13.0, 28.0, 29.0, 30.0]
ASKED = {f"{end}": ("accepted", [step("hook", end - 3, 3), step("judge", end - 4, 2)]) for end in ENDS}


@pytest.mark.parametrize(("moments", "rows"), [(ENDS, {}), ([13.0] * 7 + [30.0] * 3, ASKED)])
def test_the_steady_rate_leaves_out_the_first_and_the_last_window(
    moments: list[float], rows: dict[str, tuple[str, Any]]
) -> None:
    found = Round(30.0, moments, rows)
    assert found.ends == ENDS
    assert found.rate(3) == 1.0  # the four rows from 10 to 13 s
    assert gaps(found.ends) == 15.0


def test_an_image_is_counted_as_read_by_the_share_of_its_prompt_that_no_cache_had() -> None:
    rows = {
        "a": ("accepted", [step("hook", 0, 1), step("judge", 1, 1, 300, 100), step("sort", 2, 1, 900)]),
        "b": ("rejected", [step("hook", 0, 1), step("judge", 1, 1, 300, 25)]),
        "c": ("failed", []),
    }
    assert Round(3.0, [], rows).image_prefills("hook", ["hook", "judge"]) == (1 + 0 + 1 + 0.75) / 2


def test_an_engine_is_busy_where_any_request_is_in_it_in_the_middle_of_the_time() -> None:
    steps = [step("hook", 0, 2), step("hook", 1, 2), step("judge", 5, 1), step("hook", 9, 1), step("sort", 3, 6)]
    # From 1 to 9 s of 10: 1 to 3, and 5 to 6.
    assert Round(10.0, [], {"a": ("accepted", steps)}).busy(["hook", "judge"]) == pytest.approx(3 / 8)


def test_what_a_request_costs_is_counted_in_the_steady_state_above_what_rest_takes() -> None:
    rows = {"a": ("accepted", [step("hook", at, 1) for at in (9.0, 10.0, 14.0, 20.0)])}  # two of them from 10 to 20
    found = Round(30.0, [], rows, {"core": 1.0, "others": 99.0}, Steady(10.0, 20.0, {"core": 1.0, "others": 3.5}))
    assert found.overhead(rest=0.3) == pytest.approx(250)
    assert Round(30.0, [], rows).overhead(rest=0.3) is None
    assert Round(30.0, [], {}, {}, found.steady).overhead(rest=0.3) is None


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "least": 1.0, "most": 3.0}
    assert spread([4.0, 1.0, 2.0, 3.0])["median"] == 2.5


def test_a_result_names_the_targets_that_it_misses() -> None:
    found = {
        "local_over_floor": 0.94, "service_over_floor": 0.646, "engine_busy": 0.95, "image_prefills_per_image": 1.3,
        "orchestration_cpu_ms_per_request": 13.957,
    }  # fmt: skip
    assert not_met({name: spread([value]) for name, value in found.items()}) == {
        "local_over_floor": "0.94; the target is at least 0.95",
        "service_over_floor": "0.646; the target is at least 0.85",
        "orchestration_cpu_ms_per_request": "14; the target is at most 5",
    }


def test_the_ways_of_one_process_end_the_same_rows_in_the_same_way(tmp_path: Path) -> None:
    work = replace(SIMULATED, rows=8, in_flight=8)
    work.write_models(tmp_path)
    # Without the engines' latency, which is what the benchmark measures.
    pools = {name: {"backend": "scripted"} for name in ("vlm", "llm")}
    found = {}
    for way in ("floor", "steps", "local"):
        with direct(work.write_job(tmp_path, 0, pools=pools, executor="local")) as answer:
            found[way] = answer(way, work.write_job(tmp_path, 0, pools=pools, executor="local"))
    ended = {way: {name: outcome for name, (outcome, _) in found[way].rows.items()} for way in found}
    assert ended["floor"] == ended["steps"] == ended["local"]
    assert len(ended["floor"]) == 8 and set(ended["floor"].values()) >= {"accepted", "captions"}
