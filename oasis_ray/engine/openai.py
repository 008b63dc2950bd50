"""OpenAI engine: a server with the OpenAI API (vLLM's, SGLang, a hosted one) as an engine.

Requests without an image go to /completions as token ids, so the prompt is exact and its text can't contain special
tokens. /completions accepts no images; requests with an image go to /chat/completions. There the hook is a user message
that the server is asked to continue (`continue_final_message`, an extension of vLLM and SGLang), and special tokens in
the text are broken before it is sent. Fields beyond the OpenAI API are sent as extra body.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import openai

from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.choice_probabilities import TOP
from oasis_ray.engine.openai_reply import reply_of
from oasis_ray.engine.openai_server import LOOK_S, Server, may_not_list
from oasis_ray.errors import RowError, RunError, ServerFailedError
from oasis_ray.input.image_renditions import portable
from oasis_ray.job.pool import Pool
from oasis_ray.stage.reply_schema import ADVICE
from oasis_ray.types import Call, Image, Reply, Request

WAIT_S = 0.5  # before the first retry; doubled for each further one
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
DOUBT = (
    "the server may answer as the assistant instead of continuing the user's turn, and that answer would be taken for "
    "an instruction. For this pool, use a vLLM or SGLang server, or backend: vllm"
)


class OpenAIEngine:
    """Asks the server at `pool.url`. The chat template is that of `pool.tokenizer`, or else of `pool.model`."""

    def __init__(self, pool: Pool, *, retries: int | None = None) -> None:
        self._pool, self._server = pool, Server(pool)
        self._retries = pool.request_retries if retries is None else retries
        self._chat = Chat.load(pool.tokenizer or pool.folder, pool.revision, pool.template)
        self._client = openai.AsyncOpenAI(
            base_url=pool.url,
            api_key=self._server.key or "none",
            timeout=pool.request_timeout_s,
            max_retries=self._retries,  # with exponential backoff, for a server that is overloaded or restarts
        )
        self._continues: asyncio.Future[None] | None = None

    async def ask(self, call: Call) -> Reply:
        """Answer one call.

        Raises RowError if the server rejects this prompt, ServerFailedError if it fails on it, RunError if it can't be
        reached.
        """
        create = self._chat_completion if call.request.images else self._completion
        try:
            if call.request.images and call.request.speaker == "user":
                await self._verify_continuation()
            return await self._ask_with_retries(partial(create, call), call.request)
        except ServerFailedError as error:
            error.healthy = await self._healthy()
            raise
        except RowError as error:
            if call.request.schema and error.reason == "request_refused":
                raise RowError(error.reason, f"{error.detail} (if it is about the schema: {ADVICE})") from None
            raise

    async def check(self) -> None:
        """Raise if the server does not answer a request for its models; it need not support listing them."""
        with self._server.errors(), may_not_list():
            await self._client.models.list()

    def close(self) -> None:
        """Do nothing: there is no process to end."""

    async def _ask_with_retries(self, create: Callable[[], Awaitable[Any]], request: Request) -> Reply:
        """Return the reply. Retries with exponential backoff if the server answers 200 without one."""
        for attempt in range(self._retries + 1):
            with self._server.errors():
                try:
                    return reply_of(await create(), request.choices if request.weigh else ())
                except ServerFailedError:
                    if attempt == self._retries:
                        raise
            await asyncio.sleep(WAIT_S * 2**attempt)
        raise AssertionError("unreachable")

    async def _healthy(self) -> bool:
        """Whether the server answers a short request without an image, without retries."""
        client = self._client.with_options(max_retries=0, timeout=LOOK_S)
        try:
            with self._server.errors():
                reply_of(await self._token(client))
        except RowError:
            return True  # it has answered; its one token may be reasoning
        except RunError:
            return False
        return True

    async def _completion(self, call: Call) -> Any:
        return await self._client.completions.create(
            model=self._pool.model,
            prompt=self._chat.ids(call.request),
            logprobs=TOP if call.request.weigh else 0 if call.request.likelihood else None,
            **self._parameters(call),
        )

    async def _chat_completion(self, call: Call) -> Any:
        request, parameters = call.request, self._parameters(call)
        if self._pool.template:
            parameters["extra_body"] |= {"chat_template_kwargs": self._pool.template}
        if request.speaker == "user":
            parameters["extra_body"] |= CONTINUED
        return await self._client.chat.completions.create(
            model=self._pool.model,
            messages=self._messages(request),
            logprobs=request.likelihood or request.weigh,
            top_logprobs=TOP if request.weigh else openai.omit,
            **parameters,
        )

    async def _verify_continuation(self) -> None:
        """Verify once that the server continues a user's turn. Raises RunError if it does not.

        A server that ignores `continue_final_message` answers as the assistant, and its text would be mistaken for the
        user's. A continued prompt has fewer tokens than one with the turn closed and the assistant's turn opened.
        """
        if self._continues is None:
            self._continues = asyncio.ensure_future(self._compare_prompt_tokens())
        try:
            with self._server.errors():
                await asyncio.shield(self._continues)
        except ServerFailedError:
            self._continues = None  # still unknown
            raise

    async def _compare_prompt_tokens(self) -> None:
        tokens: list[int | None] = []
        for extra in (CONTINUED, {}):
            try:
                response = await self._token(self._client, extra)
            except openai.BadRequestError as error:
                raise RunError(
                    f"{self._pool.url} rejects `continue_final_message` ({error.message}), so {DOUBT}"
                ) from None
            with suppress(RowError):  # the token may be reasoning
                reply_of(response)
            tokens.append(getattr(getattr(response, "usage", None), "prompt_tokens", None))
        continued, closed = tokens
        if continued is None or closed is None:
            raise RunError(f"{self._pool.url} does not report prompt tokens, so {DOUBT}")
        if continued >= closed:
            raise RunError(f"{self._pool.url} ignores `continue_final_message`, so {DOUBT}")

    async def _token(self, client: openai.AsyncOpenAI, extra: dict[str, Any] | None = None) -> Any:
        """Return the server's response to a request for one token."""
        return await client.chat.completions.create(
            model=self._pool.model,
            messages=[{"role": "user", "content": "What is"}],
            max_tokens=1,
            temperature=0.0,
            extra_body=extra,
        )

    def _messages(self, request: Request) -> Any:
        images = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images]
        text = {"type": "text", "text": self._chat.escaped(request.text)}
        return [{"role": "user", "content": [*images, text]}]

    def _parameters(self, call: Call) -> dict[str, Any]:
        sampling, choices, schema = call.request.sampling, list(call.request.choices), call.request.schema
        return {
            "n": call.request.n,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "logit_bias": {str(token): -100 for token in self._chat.banned_ids(sampling)} or openai.omit,
            "seed": call.seed,
            "extra_body": {
                "top_k": sampling.top_k,
                "min_tokens": sampling.min_tokens,
                "stop_token_ids": self._chat.stop_ids,
                **({"structured_outputs": {"choice": choices}} if choices else {}),
                **({"structured_outputs": {"json": json.loads(schema)}} if schema else {}),
            },
        }


def _data_url(image: Image) -> str:
    data, kind = portable(image)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
