"""Server replies: validates the response of a server and converts it into a reply.

A response with status 200 may still contain an error, no choices, half a sentence that a filter cut off, or only the
reasoning of a model. Each of these has its own reason, so that it is counted, and not judged as if it were an answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from oasis_ray.engine.choice_probabilities import choice_probabilities
from oasis_ray.engine.reasoning import answer_of, shortened
from oasis_ray.errors import RowError, RunError, ServerFailedError
from oasis_ray.types import Reply, Sample

# Finish reasons of complete and of truncated replies (vLLM, SGLang, TGI, gateways to Anthropic).
STOPPED = {"stop", "eos_token", "stop_sequence", "end_turn"}
CUT_OFF = {"length", "max_tokens"}
FILTERED = {"content_filter", "safety", "recitation"}


def reply_of(response: Any, weighed: Sequence[str] = ()) -> Reply:
    """Return the reply in a completion or chat completion, with the probabilities of the choices `weighed`.

    Raises ServerFailedError if there is no reply (a retry may succeed), RowError if the reply can't be used:
    `reply_filtered`, `reply_only_reasoning`, `reply_without_text`, `reply_end_unknown`, `no_choice_probability`, and
    RunError if choices are weighed and the server returns no log-probabilities.
    """
    error = getattr(response, "error", None)
    if error:
        raise ServerFailedError(f"it answers 200 with an error: {shortened(error)}")
    choices = getattr(response, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise ServerFailedError(f"it answers 200 without a reply: {shortened(response)}")
    samples = [_sample(choice, weighed) for choice in choices]
    usage = response.usage
    if usage:  # for all samples together; assigned to the first
        first = samples[0]
        samples[0] = replace(first, tokens=usage.completion_tokens)
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", 0) or 0
    return Reply(tuple(samples), usage.prompt_tokens if usage else 0, cached)


def _sample(choice: Any, weighed: Sequence[str]) -> Sample:
    message = getattr(choice, "message", None)
    content = choice.text if message is None else message.content
    finish = choice.finish_reason
    separated = "" if message is None else _reasoning_of(message)
    if finish in FILTERED:
        raise RowError(
            "reply_filtered", f"the content filter of the server ended the reply: {shortened(content or '')}"
        )
    if finish not in STOPPED | CUT_OFF:
        raise RowError("reply_end_unknown", f"unknown finish reason {finish!r}: {shortened(content)}")
    text, reasoning = answer_of(content or "", separated)
    if content is None:
        raise RowError("reply_without_text", "the server returned `content: null`")
    ended: Literal["stop", "length"] = "length" if finish in CUT_OFF else "stop"
    weights = choice_probabilities(weighed, _first_tokens(choice.logprobs)) if weighed else None
    return Sample(text, ended, 0, _likelihood(choice.logprobs), reasoning, weights)


def _reasoning_of(message: Any) -> str:
    """Return the reasoning that the server has separated, under either name in use."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(value := getattr(message, name, None), str) and value.strip():
            return value.strip()
    return ""


def _first_tokens(logprobs: Any) -> list[tuple[str, float]]:
    """Return the likely first tokens, with their log-probabilities."""
    completion = getattr(logprobs, "top_logprobs", None)
    if completion:
        return list(completion[0].items())
    content = getattr(logprobs, "content", None)
    top = content[0].top_logprobs if content else ()
    if not top:
        raise RunError(
            "the server returns no log-probabilities (`top_logprobs`), from which the probability of a choice is "
            "computed; use another server or backend: vllm, or remove at_least and below from the node"
        )
    return [(token.token, token.logprob) for token in top]


def _likelihood(logprobs: Any) -> float | None:
    if logprobs is None:
        return None
    values = getattr(logprobs, "token_logprobs", None)
    if values is None:
        values = [token.logprob for token in getattr(logprobs, "content", None) or ()]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
