"""What a server answered, checked before it is taken for a reply: text, how it ended, and no thoughts in it.

A reply with status 200 may still hold an error, no choices, half a sentence that a filter cut off, or nothing but the
thoughts of a reasoning model. Each of these is a reason of its own, so that it is counted and not judged as if it were
the model's words.
"""

from typing import Any, Literal

from oasis_ray.engine.reasoning import answer_of, shortened
from oasis_ray.errors import RowError, ServerFailedError
from oasis_ray.types import Reply, Sample

# How servers say that a reply has ended by itself, and that it was cut off (vLLM, SGLang, TGI, Anthropic's gateways).
STOPPED = {"stop", "eos_token", "stop_sequence", "end_turn"}
CUT_OFF = {"length", "max_tokens"}
FILTERED = {"content_filter", "safety", "recitation"}


def reply_of(said: Any) -> Reply:
    """The reply in a server's completion or chat completion.

    Raises ServerFailedError where it is none at all (which may be better the next time), RowError where it is one that
    can't be used: `reply_filtered`, `reply_only_reasoning`, `reply_without_text`, `reply_end_unknown`.
    """
    error = getattr(said, "error", None)
    if error:
        raise ServerFailedError(f"it answers 200 with an error: {shortened(error)}")
    choices = getattr(said, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise ServerFailedError(f"it answers 200 without a reply: {shortened(said)}")
    samples = [_sample(choice) for choice in choices]
    usage = said.usage
    if usage:  # the server's, for all samples together; it is put down to the first
        first = samples[0]
        samples[0] = Sample(first.text, first.finish, usage.completion_tokens, first.likelihood, first.reasoning)
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", 0) or 0
    return Reply(tuple(samples), usage.prompt_tokens if usage else 0, cached)


def _sample(choice: Any) -> Sample:
    message = getattr(choice, "message", None)
    content = choice.text if message is None else message.content
    finish = choice.finish_reason
    given = "" if message is None else _reasoning_of(message)
    if finish in FILTERED:
        raise RowError("reply_filtered", f"the server's filter ended the reply: {shortened(content or '')}")
    if finish not in STOPPED | CUT_OFF:
        raise RowError(
            "reply_end_unknown", f"the server says that the reply ended with {finish!r}: {shortened(content)}"
        )
    text, reasoning = answer_of(content or "", given)
    if content is None:
        raise RowError("reply_without_text", "the server answered with `content: null`")
    ended: Literal["stop", "length"] = "length" if finish in CUT_OFF else "stop"
    return Sample(text, ended, 0, _likelihood(choice.logprobs), reasoning)


def _reasoning_of(message: Any) -> str:
    """What the server keeps apart from the content, under either name that is in use."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(found := getattr(message, name, None), str) and found.strip():
            return found.strip()
    return ""


def _likelihood(logprobs: Any) -> float | None:
    if logprobs is None:
        return None
    values = getattr(logprobs, "token_logprobs", None)
    if values is None:
        values = [token.logprob for token in getattr(logprobs, "content", None) or ()]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
