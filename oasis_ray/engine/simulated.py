"""Simulated engine: replies of a script with the latency of a large model, for scale tests.

The latency model is that of continuous batching: prompts are processed one after another at a fixed rate; replies are
generated concurrently, and each reply in flight slows down every token a little. Of the last `cached_images` images, by
digest, the tokens are not processed again.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace

from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import ImageGoneError
from oasis_ray.job.latency import Latency
from oasis_ray.types import Call, Reply, Request


class SimulatedEngine:
    """Replies with `script(call)` after the simulated latency."""

    def __init__(self, script: ScriptedEngine, latency: Latency) -> None:
        self._script, self._latency = script, latency
        self._free = 0.0  # when all queued prompts will have been processed
        self._generating = 0
        self._images: OrderedDict[str, None] = OrderedDict()

    async def ask(self, call: Call) -> Reply:
        """Return the reply of the script, with its prompt tokens and cached tokens."""
        for image in call.request.images:
            if not image.data and image.digest not in self._images:
                raise ImageGoneError(image.digest)
        reply = await self._script.ask(call)
        prompt, cached = self._read(call.request)
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + (prompt - cached) / self._latency.read_tokens_per_s
        await asyncio.sleep(self._free - now)
        self._generating += 1
        try:
            tokens = max(sample.tokens for sample in reply.samples)
            await asyncio.sleep(tokens * (self._latency.token_s + self._latency.token_s_per_reply * self._generating))
        finally:
            self._generating -= 1
        holds = self._latency.cached_images
        return replace(reply, prompt_tokens=prompt, cached_tokens=cached, keeps=True, holds=holds)

    async def check(self) -> None:
        """Do nothing: a simulation is always healthy."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""

    def _read(self, request: Request) -> tuple[int, int]:
        """Return the tokens of a prompt, and how many of them are cached."""
        text = int(len(request.text) / self._latency.characters_per_token)
        cached = 0
        for image in request.images:
            if image.digest in self._images:
                cached += self._latency.image_tokens
            self._images[image.digest] = None
            self._images.move_to_end(image.digest)
            if len(self._images) > self._latency.cached_images:
                self._images.popitem(last=False)
        return text + self._latency.image_tokens * len(request.images), cached
