"""The real engines: vLLM on a pair of small models, in a local run and asked by hand."""

import os
from pathlib import Path

import pytest

from benchmarks.demo_images import write_shards
from benchmarks.quality import scene_of
from benchmarks.world.oracle import read_caption
from oasis_ray.engine.chat_template import Chat
from oasis_ray.errors import RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.output.audit import audit
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest
from oasis_ray.types import Call, Image, Request, Sampling
from tests.support.checkout import ROOT
from tests.support.cluster import ENGINES
from tests.support.engines import DRAWN, ROWS, SHORT, THREADS, Kept, cores_here, run_recipe
from tests.support.jobs import rows_of
from tests.support.models import VLM
from tests.support.shards import picture

IMAGE_TOKENS = 16  # 112 x 112 pixels: 8 x 8 patches of 14, merged two by two


def hook(image: Image, row: str = "r", seed: int = 1) -> Call:
    return Call(Request(images=(image,), speaker="user", sampling=DRAWN), row, seed)


def test_in_a_local_run_every_row_ends_once(engines: tuple[Kept, Path]) -> None:
    run = engines[1]
    found = audit(str(run))
    ended = [row["id"] for outcome in ("accepted", "captions", "rejected", "failed") for row in rows_of(run, outcome)]
    assert found.faults == []
    assert len(set(ended)) == len(ended) == ROWS + 6
    assert {row["id"]: row["reason"] for row in rows_of(run, "failed") if row["id"].startswith("broken/")} == {
        "broken/animated.gif": "image_animated", "broken/empty.webp": "image_missing",
        "broken/line.png": "image_too_small", "broken/nothing.png": "image_missing",
        "broken/truncated.png": "image_truncated", "broken/web-page.jpg": "image_format",
    }  # fmt: skip
    manifest = read_manifest(str(run))
    assert (manifest["state"], [session["executor"] for session in manifest["sessions"]]) == ("done", ["local"])
    lineage = {(step["node"], step["engine"]) for outcome in ("accepted", "rejected") for row in rows_of(run, outcome)
               for step in row["lineage"]}  # fmt: skip
    assert {("hook", "vlm"), ("categorize", "llm")} <= lineage


def test_the_recipe_of_captions_writes_true_captions(engines: tuple[Kept, Path], tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", "captions", 40, {})
    (tmp_path / "prompts/describe").mkdir(parents=True)
    (tmp_path / "prompts/describe/en.txt").write_text("Describe the picture.\nWhat does the picture show?\n")
    run = run_recipe(engines[0], tmp_path, {
        "recipe": "caption_gen", "prompts": str(tmp_path / "prompts"),
        "input": {"path": str(tmp_path / "shards"), "id": "id"}, "output": {"path": str(tmp_path / "run")},
        "nodes": {"caption": {"with": {"sampling": {"max_tokens": 100}}}},
    })  # fmt: skip
    assert audit(str(run)).faults == []
    rows = rows_of(run, "accepted")
    assert (len(rows), {row["instruction"] for row in rows}) == (
        40, {"Describe the picture.", "What does the picture show?"},
    )  # fmt: skip
    said = [sentence.true for row in rows for sentence in read_caption(scene_of(row), row["response"])]
    assert len(said) > 60
    assert sum(said) / len(said) > 0.9  # as the pair's documentation says of descriptions


def test_several_turns_of_an_image_are_judged_and_answered_one_by_one(
    engines: tuple[Kept, Path], tmp_path: Path
) -> None:
    write_shards(tmp_path / "shards", "several", 24, {})
    sampling = {"max_tokens": 60, "min_tokens": 1, "top_k": 200, "top_p": 0.98}
    run = run_recipe(engines[0], tmp_path, {
        "recipe": "oasis_n", "prompts": str(ROOT / "prompts/short"), "max_failed": 1.0,
        "input": {"path": str(tmp_path / "shards"), "id": "id"}, "output": {"path": str(tmp_path / "run")},
        "nodes": {
            "hooks": {"with": {"n": 4, "sampling": sampling}}, "kind": {"with": {"sampling": {"max_tokens": 100}}},
        },
    })  # fmt: skip
    assert audit(str(run)).faults == []
    counts = counts_of(str(run))
    assert counts.costs["hooks"].requests == 24  # one for the four turns of an image
    assert sum(many for (node, *_), many in counts.elements.items() if node == "kind") == 4 * 24
    rows = rows_of(run, "accepted")
    assert len(rows) > 3
    for row in rows:
        left = [out for out in row["nodes"]["respond"] if out]
        asked, answers = row["conversations"][::2], row["conversations"][1::2]
        assert [turn["value"] for turn in answers] == [out["text"] for out in left]
        questions = [turn["value"].removeprefix("<image>\n") for turn in asked]
        assert len(set(questions)) == len(questions) == len(row["columns"]["clarity"])
        assert all(score >= 3 for score in row["columns"]["clarity"])
    assert max(len(row["conversations"]) for row in rows) > 2  # some have several exchanges


@pytest.mark.skipif(ENGINES == "gpu", reason="engines on GPUs have the threads that vLLM gives them")
def test_an_engine_has_the_threads_it_is_given_or_its_share_of_the_cores(engines: tuple[Kept, Path]) -> None:
    threads = [core.environ()["OMP_NUM_THREADS"] for core in cores_here()]
    assert threads == [str(max(1, len(os.sched_getaffinity(0)) // 2)), str(THREADS)]


def test_the_same_call_gives_the_same_reply_and_another_seed_another(engines: tuple[Kept, Path]) -> None:
    image = admit(picture("navy"), Limits())
    first, again, other = engines[0].ask("vlm", hook(image), hook(image), hook(image, seed=2))
    assert first.samples == again.samples
    assert first.text != other.text


def test_the_reasoning_of_a_model_is_kept_apart_from_its_answer(engines: tuple[Kept, Path]) -> None:
    def forced(text: str) -> Call:
        return Call(Request("Is it red?", choices=(text,), sampling=Sampling(max_tokens=64)), "r", 1)

    (reply,) = engines[0].ask("llm", forced("<think>hm</think>Yes"))
    assert (reply.text, reply.samples[0].reasoning) == ("Yes", "hm")
    with pytest.raises(RowError, match=r"reply_only_reasoning: the reply has only reasoning; .*: hm"):
        engines[0].ask("llm", forced("<think>hm</think>"))


def test_the_engine_reads_the_prompt_and_the_whole_image(engines: tuple[Kept, Path]) -> None:
    image = admit(picture("olive"), Limits())
    prompt = Chat.load(str(VLM)).ids(hook(image).request)
    assert engines[0].ask("vlm", hook(image))[0].prompt_tokens == len(prompt) - 1 + IMAGE_TOKENS


def test_an_image_is_read_once_for_all_its_requests_with_the_same_replies(engines: tuple[Kept, Path]) -> None:
    image = admit(picture("maroon", (448, 448)), Limits())
    question = Call(Request("What is it?", (image,), sampling=SHORT), "r", 1)
    cold = engines[0].ask("vlm", question)[0]
    engines[0].ask("vlm", hook(image))
    warm = engines[0].ask("vlm", question)[0]
    # vLLM caches whole blocks, of 128 tokens on CPUs: the image has 256.
    assert cold.cached_tokens < 128 < warm.cached_tokens
    assert warm.samples == cold.samples


def test_an_engine_says_how_many_such_rows_its_cache_holds(engines: tuple[Kept, Path]) -> None:
    small, large = (admit(picture("teal", size), Limits()) for size in ((112, 112), (448, 448)))
    some, fewer = engines[0].ask("vlm", hook(small), hook(large))
    read = [reply.prompt_tokens + reply.samples[0].tokens for reply in (some, fewer)]
    room = [reply.holds * tokens for reply, tokens in zip((some, fewer), read, strict=True)]
    assert min(room) > 2048
    assert abs(room[0] - room[1]) < max(read)


def test_a_picture_that_vllm_has_forgotten_is_given_again(engines: tuple[Kept, Path]) -> None:
    # More than its cache of pictures has room for (mm_processor_cache_gb in tests/support/engines.py).
    images = [admit(picture(f"#{tone:02x}8040", (448, 448)), Limits()) for tone in range(0, 240, 15)]
    questions = [Call(Request("What is it?", (image,), sampling=SHORT), "r", 1) for image in images]
    once = [engines[0].ask("vlm", question)[0].samples for question in questions]
    assert [engines[0].ask("vlm", question)[0].samples for question in questions] == once


def test_different_images_give_different_replies(engines: tuple[Kept, Path]) -> None:
    one, other = (admit(picture(colour), Limits()) for colour in ("red", "blue"))
    first, second = engines[0].ask("vlm", hook(one), hook(other))
    assert first.text != second.text


def test_several_samples_come_with_their_likelihoods(engines: tuple[Kept, Path]) -> None:
    reply = engines[0].ask("llm", Call(Request("Hi", sampling=DRAWN, n=3, likelihood=True), "r", 1))[0]
    assert len({sample.text for sample in reply.samples}) == 3
    assert all(sample.likelihood is not None and sample.likelihood < 0 for sample in reply.samples)


def test_a_prompt_over_the_context_is_a_bad_row(engines: tuple[Kept, Path]) -> None:
    with pytest.raises(RowError) as error:
        engines[0].ask("llm", Call(Request("word " * 3000, sampling=SHORT), "r", 1))
    assert error.value.reason == "prompt_over_context"
    assert error.value.detail.endswith("(max_context_tokens is 1024)")


def test_a_reply_is_one_of_the_choices(engines: tuple[Kept, Path]) -> None:
    image = admit(picture("maroon"), Limits())
    verdicts = ("[[1]]", "[[4]]", "[[5]]")
    requests = [Request(f"How good is {n}?", (image,), sampling=SHORT, choices=verdicts) for n in range(4)]
    said = [reply.samples[0] for reply in engines[0].ask("vlm", *(Call(request, "r", 1) for request in requests))]
    assert {sample.finish for sample in said} == {"stop"}
    assert {sample.text for sample in said} <= set(verdicts)


def test_a_reply_keeps_to_its_bounds(engines: tuple[Kept, Path]) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=8, min_tokens=8, ban=("special", "emoji"))
    sample = engines[0].ask("llm", Call(Request("Hi", sampling=sampling), "r", 1))[0].samples[0]
    assert (sample.tokens, sample.finish) == (8, "length")
