"""Replies under a JSON schema on real vLLM: JSON that `qa_pairs` reads, or a reason that says why there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from oasis_ray.content.stages.generate import Generate
from oasis_ray.content.stages.generate import In as Asked
from oasis_ray.content.stages.generate import Out as Text
from oasis_ray.content.stages.qa_pairs import In, Out, QaPairs

from oasis_ray.errors import RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.stage import Prompt, Slots
from oasis_ray.stage.reply_schema import ADVICE, reply_schema
from oasis_ray.types import REJECTED, Call, Divert, Reply, Request, Sampling
from tests.support.engines import Kept
from tests.support.shards import picture

PAIR: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string", "minLength": 1, "maxLength": 30} for name in ("question", "answer")},
    "required": ["question", "answer"],
    "additionalProperties": False,
}
PAIRS = {"type": "array", "items": PAIR, "minItems": 1, "maxItems": 2}
SEEDS = range(1, 9)


def stage(max_tokens: int = 600) -> Generate:
    sampling = Sampling(temperature=1.0, top_k=20, max_tokens=max_tokens)
    return Generate(prompt=Prompt("ask", "Ask about {{topic}}."), schema=PAIRS, sampling=sampling)


def ask(kept: Kept, pool: str, node: Generate, row: Asked) -> list[Reply]:
    (request,) = node.requests(row)
    return kept.ask(pool, *(Call(request, f"r{seed}", seed) for seed in SEEDS))


@pytest.mark.parametrize("pool", ["llm", "vlm"])
def test_replies_are_json_of_the_schema_and_qa_pairs_reads_them(engines: tuple[Kept, Path], pool: str) -> None:
    image = admit(picture("navy"), Limits()) if pool == "vlm" else None
    row = Asked(image, texts=Slots(topic="the circle"))
    replies = ask(engines[0], pool, stage(), row)
    ends = [stage().parse(row, [reply]) for reply in replies]
    assert ends == [Text(reply.text) for reply in replies]
    read = [QaPairs(form="json").apply(In(end.text)) for end in ends]
    for reply, out in zip(replies, read, strict=True):
        if isinstance(out, Out):
            pairs = [(pair["question"].strip(), pair["answer"].strip()) for pair in json.loads(reply.text)]
            assert list(zip(out.questions, out.answers, strict=True)) == pairs
        else:  # a tiny model may write a text without a word
            assert out.reason in {"empty_question", "empty_answer"}
    assert any(isinstance(out, Out) for out in read)


def test_a_reply_that_is_cut_off_is_a_truncated_text(engines: tuple[Kept, Path]) -> None:
    row = Asked(texts=Slots(topic="the circle"))
    ends = [stage(4).parse(row, [reply]) for reply in ask(engines[0], "llm", stage(4), row)]
    assert {(end.route, end.reason) for end in ends if isinstance(end, Divert)} == {(REJECTED, "text_truncated")}
    assert len(ends) == len(SEEDS)


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        ({"type": "array", "minItems": 3, "maxItems": 2}, "minItems is greater than maxItems: 3 > 2"),
        ({"type": "string", "pattern": "(?<=a)b"}, "Lookbehind is not supported yet"),
        ({"type": "string", "format": "no-such-format"}, "features not supported by xgrammar"),
    ],
    ids=str,
)
def test_a_schema_that_vllm_cant_guide_by_is_a_reason_and_harms_no_other_row(
    engines: tuple[Kept, Path], schema: dict[str, Any], cause: str
) -> None:
    request = Request("What?", sampling=Sampling(max_tokens=16), schema=reply_schema(schema).text)
    with pytest.raises(RowError) as error:
        engines[0].ask("llm", Call(request, "r", 1))
    assert error.value.reason == "schema_refused"
    assert cause in error.value.detail
    assert error.value.detail.endswith(ADVICE)
    (reply,) = engines[0].ask("llm", Call(Request("What?", sampling=Sampling(max_tokens=4)), "r", 1))
    assert reply.samples[0].tokens > 0


def test_a_prompt_over_the_context_is_told_from_a_schema_that_is_refused(engines: tuple[Kept, Path]) -> None:
    request = Request("word " * 3000, sampling=Sampling(max_tokens=16), schema=reply_schema(PAIRS).text)
    with pytest.raises(RowError) as error:
        engines[0].ask("llm", Call(request, "r", 1))
    assert error.value.reason == "prompt_over_context"
