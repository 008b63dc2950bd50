"""A server with the OpenAI API (vLLM's own, SGLang, a hosted one) as an engine.

Requests without an image go to /completions as token ids, so the prompt is exact and its words can't act as special
tokens. /completions takes no images; requests with one go to /chat/completions. There the hook is a user message that
the server is asked to continue (`continue_final_message`, an extension of vLLM and SGLang), and special tokens in the
words are broken before they are sent. Fields beyond the OpenAI API travel as extra body.

The key comes from the environment and goes into the request's header alone. A server may repeat it in what it says of a
request that it refuses, so every error is told without it.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import openai

from oasis_ray.chat import Chat
from oasis_ray.errors import RowError, RunError
from oasis_ray.image import portable
from oasis_ray.job import Pool
from oasis_ray.rows import Call, Image, Reply, Request, Sample


class OpenAIEngine:
    """Asks the server at `pool.url` for `pool.model`; the chat format is `pool.tokenizer`'s, else the model's."""

    def __init__(self, pool: Pool, *, retries: int = 5) -> None:
        self._pool, self._key = pool, _key(pool.api_key_env)
        self._chat = Chat.load(pool.tokenizer or pool.folder, pool.revision)
        self._client = openai.AsyncOpenAI(
            base_url=pool.url,
            api_key=self._key or "none",
            timeout=pool.request_timeout_s,
            max_retries=retries,  # with growing waits: a server that is full or starts anew
        )

    async def ask(self, call: Call) -> Reply:
        """Answer one call. Raises RowError where the server refuses this prompt, RunError where it can't be reached."""
        with self._told():
            return await (self._chat_completion(call) if call.request.images else self._completion(call))

    async def check(self) -> None:
        """Raise where the server does not list its models."""
        with self._told():
            await self._client.models.list()

    def close(self) -> None:
        """Nothing was started."""

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever the client raises, as an error of ours that does not hold the key."""
        try:
            yield
        except openai.BadRequestError as error:
            raise RowError(_reason(error), self._keyless(error.message)) from None
        except openai.AuthenticationError as error:
            raise RunError(
                f"{self._pool.url} refuses the key in ${self._pool.api_key_env}: {self._keyless(error.message)}"
            ) from None
        except openai.APIConnectionError as error:
            cause = self._keyless(str(error.__cause__ or error))
            raise RunError(f"{self._pool.url} can't be reached: {cause}") from None
        except openai.APIStatusError as error:
            raise RunError(f"{self._pool.url} answers {error.status_code}: {self._keyless(error.message)}") from None

    def _keyless(self, text: str) -> str:
        return text.replace(self._key, f"${self._pool.api_key_env}") if self._key else text

    async def _completion(self, call: Call) -> Reply:
        said = await self._client.completions.create(
            model=self._pool.model,
            prompt=self._chat.ids(call.request),
            logprobs=0 if call.request.likelihood else None,
            **self._parameters(call),
        )
        samples = [
            Sample(
                choice.text,
                _finish(choice.finish_reason),
                0,
                _mean(choice.logprobs.token_logprobs if choice.logprobs else None),
            )
            for choice in said.choices
        ]
        return _reply(samples, said.usage)

    async def _chat_completion(self, call: Call) -> Reply:
        request, parameters = call.request, self._parameters(call)
        if request.speaker == "user":
            parameters["extra_body"] |= {"continue_final_message": True, "add_generation_prompt": False}
        said = await self._client.chat.completions.create(
            model=self._pool.model,
            messages=self._messages(request),
            logprobs=request.likelihood,
            **parameters,
        )
        samples = [
            Sample(
                choice.message.content or "",
                _finish(choice.finish_reason),
                0,
                _mean([token.logprob for token in choice.logprobs.content or ()] if choice.logprobs else None),
            )
            for choice in said.choices
        ]
        return _reply(samples, said.usage)

    def _messages(self, request: Request) -> Any:
        pictures = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images]
        words = {"type": "text", "text": self._chat.harmless(request.text)}
        return [{"role": "user", "content": [*pictures, words]}]

    def _parameters(self, call: Call) -> dict[str, Any]:
        wanted, choices = call.request.sampling, list(call.request.choices)
        return {
            "n": call.request.n,
            "max_tokens": wanted.max_tokens,
            "temperature": wanted.temperature,
            "top_p": wanted.top_p,
            "frequency_penalty": wanted.frequency_penalty,
            "presence_penalty": wanted.presence_penalty,
            "logit_bias": {str(token): -100 for token in self._chat.banned_ids(wanted)} or openai.omit,
            "seed": call.seed,
            "extra_body": {
                "top_k": wanted.top_k,
                "min_tokens": wanted.min_tokens,
                "stop_token_ids": self._chat.stop_ids,
                **({"structured_outputs": {"choice": choices}} if choices else {}),
            },
        }


def _key(name: str) -> str:
    """The key in the environment variable `name`, empty where there is none. A key from a file often ends in a newline.

    Raises RunError where no header can carry it: the client's own error would show it.
    """
    key = os.environ.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise RunError(f"the key in ${name} holds a character that an HTTP header can't carry; was it copied whole?")
    return key


def _data_url(image: Image) -> str:
    data, kind = portable(image)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _reason(error: openai.BadRequestError) -> str:
    return "prompt_over_context" if "context length" in error.message else "request_refused"


def _finish(reason: str | None) -> Literal["stop", "length"]:
    return "length" if reason == "length" else "stop"


def _mean(values: list[float | None] | list[float] | None) -> float | None:
    known = [value for value in values or () if value is not None]
    return sum(known) / len(known) if known else None


def _reply(samples: list[Sample], usage: Any) -> Reply:
    """The usage is the server's, for all samples together; it is put down to the first."""
    if not samples:
        raise RowError("request_refused", "the server answered without a choice")
    if usage:
        first = samples[0]
        samples = [Sample(first.text, first.finish, usage.completion_tokens, first.likelihood), *samples[1:]]
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", 0) or 0
    return Reply(tuple(samples), usage.prompt_tokens if usage else 0, cached)
