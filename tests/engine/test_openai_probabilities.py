"""Probabilities of choices in the responses of servers, in both forms of the OpenAI API."""

from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion

from oasis_ray.engine.openai_reply import reply_of
from oasis_ray.errors import RowError, RunError

YES_OR_NO = ("Yes", "No")
ENDS = {"id": "x", "created": 1, "model": "m", "object": "o"}


def completion(top: list[dict[str, float]] | None) -> Completion:
    logprobs = None if top is None else {"token_logprobs": [-0.5], "tokens": ["Yes"], "top_logprobs": top}
    choice = {"index": 0, "text": "Yes", "finish_reason": "stop", "logprobs": logprobs}
    return Completion.construct(**ENDS, choices=[choice])


def chat(top: list[dict[str, Any]] | None) -> ChatCompletion:
    content = None if top is None else [{"token": "Yes", "logprob": -0.5, "top_logprobs": top}]
    choice = {
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"},
        "logprobs": content and {"content": content},
    }  # fmt: skip
    return ChatCompletion.construct(**ENDS, choices=[choice])


LIKELY = {"Yes": -0.5108256, "No": -1.6094379, "Perhaps": -2.0}  # 0.6 and 0.2


@pytest.mark.parametrize(
    "response",
    [
        completion([LIKELY, {"<|im_end|>": 0.0}]),
        chat([{"token": token, "logprob": value} for token, value in LIKELY.items()]),
    ],
    ids=["completion", "chat"],
)
def test_the_likely_first_tokens_give_the_probabilities(response: Any) -> None:
    (sample,) = reply_of(response, YES_OR_NO).samples
    assert sample.probabilities == pytest.approx({"Yes": 0.75, "No": 0.25})
    assert reply_of(response).samples[0].probabilities is None  # not asked for


@pytest.mark.parametrize("response", [completion(None), completion([]), chat(None), chat([])])
def test_a_server_without_log_probabilities_ends_the_run_and_says_what_to_do(response: Any) -> None:
    with pytest.raises(RunError, match=r"the server returns no log-probabilities .* remove at_least and below"):
        reply_of(response, YES_OR_NO)


def test_likely_tokens_that_begin_no_choice_fail_the_row() -> None:
    with pytest.raises(RowError) as failed:
        reply_of(completion([{"The": -0.1, "A": -2.5}]), YES_OR_NO)
    assert failed.value.reason == "no_choice_probability"
