"""A server with the OpenAI API (vLLM's own, SGLang, a hosted one) as an engine.

Requests without an image go to /completions as token ids, so the prompt is exact and its words can't act as special
tokens. /completions takes no images; requests with one go to /chat/completions. There the hook is a user message that
the server is asked to continue (`continue_final_message`, an extension of vLLM and SGLang), and special tokens in the
words are broken before they are sent. Fields beyond the OpenAI API travel as extra body.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import openai

from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.openai_reply import reply_of
from oasis_ray.engine.openai_server import LOOK_S, UNLISTED, Server
from oasis_ray.errors import RowError, RunError, ServerFailedError
from oasis_ray.input.image import portable
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Image, Reply, Request

WAIT_S = 0.5  # before a request is made again, doubled each time
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
DOUBT = (
    "it can't be shown that it continues a user's turn: what it writes as the assistant would be taken for the user's "
    "words. Use vLLM's or SGLang's own server, or backend vllm, for the pool that writes them"
)


class OpenAIEngine:
    """Asks the server at `pool.url` for `pool.model`; the chat format is `pool.tokenizer`'s, else the model's."""

    def __init__(self, pool: Pool, *, retries: int | None = None) -> None:
        self._pool, self._server = pool, Server(pool)
        self._retries = pool.request_retries if retries is None else retries
        self._chat = Chat.load(pool.tokenizer or pool.folder, pool.revision)
        self._client = openai.AsyncOpenAI(
            base_url=pool.url,
            api_key=self._server.key or "none",
            timeout=pool.request_timeout_s,
            max_retries=self._retries,  # with growing waits: a server that is full or starts anew
        )
        self._continues: asyncio.Future[None] | None = None

    async def ask(self, call: Call) -> Reply:
        """Answer one call.

        Raises RowError where the server refuses this prompt, ServerFailedError where it fails on it, RunError where it
        can't be reached.
        """
        create = self._chat_completion if call.request.images else self._completion
        try:
            if call.request.images and call.request.speaker == "user":
                await self._proved()
            return await self._asked(partial(create, call))
        except ServerFailedError as error:
            error.healthy = await self._healthy()
            raise

    async def check(self) -> None:
        """Raise where the server does not answer when it is asked for its models; it need not list them."""
        with self._server.errors():
            try:
                await self._client.models.list()
            except openai.APIStatusError as error:
                if error.status_code not in UNLISTED:
                    raise

    def close(self) -> None:
        """Nothing was started."""

    async def _asked(self, create: Callable[[], Awaitable[Any]]) -> Reply:
        """The reply, asked for again with growing waits where the server answers 200 and gives none."""
        for attempt in range(self._retries + 1):
            with self._server.errors():
                try:
                    return reply_of(await create())
                except ServerFailedError:
                    if attempt == self._retries:
                        raise
            await asyncio.sleep(WAIT_S * 2**attempt)
        raise AssertionError("unreachable")

    async def _healthy(self) -> bool:
        """Whether the server answers a short request without an image, asked once."""
        client = self._client.with_options(max_retries=0, timeout=LOOK_S)
        try:
            with self._server.errors():
                reply_of(await self._token(client))
        except RowError:
            return True  # it has answered; one token may be all thought
        except RunError:
            return False
        return True

    async def _completion(self, call: Call) -> Any:
        return await self._client.completions.create(
            model=self._pool.model,
            prompt=self._chat.ids(call.request),
            logprobs=0 if call.request.likelihood else None,
            **self._parameters(call),
        )

    async def _chat_completion(self, call: Call) -> Any:
        request, parameters = call.request, self._parameters(call)
        if request.speaker == "user":
            parameters["extra_body"] |= CONTINUED
        return await self._client.chat.completions.create(
            model=self._pool.model,
            messages=self._messages(request),
            logprobs=request.likelihood,
            **parameters,
        )

    async def _proved(self) -> None:
        """Return once the server is known to continue a user's turn. Raises RunError where it does not.

        A server that ignores `continue_final_message` answers as the assistant, and its words would be taken for the
        user's. Continued, a message has fewer tokens than closed and with the opening of the assistant's turn.
        """
        if self._continues is None:
            self._continues = asyncio.ensure_future(self._prove())
        try:
            with self._server.errors():
                await asyncio.shield(self._continues)
        except ServerFailedError:
            self._continues = None  # nothing is known yet
            raise

    async def _prove(self) -> None:
        tokens: list[int | None] = []
        for extra in (CONTINUED, {}):
            try:
                said = await self._token(self._client, extra)
            except openai.BadRequestError as error:
                raise RunError(
                    f"{self._pool.url} refuses a turn to be continued ({error.message}), so {DOUBT}"
                ) from None
            with suppress(RowError):  # a token may be all thought
                reply_of(said)
            tokens.append(getattr(getattr(said, "usage", None), "prompt_tokens", None))
        continued, closed = tokens
        if continued is None or closed is None:
            raise RunError(f"{self._pool.url} does not say how many tokens a prompt has, so {DOUBT}")
        if continued >= closed:
            raise RunError(f"{self._pool.url} ignores `continue_final_message`, so {DOUBT}")

    async def _token(self, client: openai.AsyncOpenAI, extra: dict[str, Any] | None = None) -> Any:
        """What the server says when it is asked for one token."""
        return await client.chat.completions.create(
            model=self._pool.model,
            messages=[{"role": "user", "content": "What is"}],
            max_tokens=1,
            temperature=0.0,
            extra_body=extra,
        )

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


def _data_url(image: Image) -> str:
    data, kind = portable(image)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
