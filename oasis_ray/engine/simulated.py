"""An engine that answers as a script does, after the time that a large model would take: for studies of scale.

The model of time is that of an engine with continuous batching: prompts are read one after another at a fixed rate,
replies are written side by side, each token a little later for every other reply in flight. What the engine has read
before (an image, by its digest) is not read again while it is among the last `cached_images`.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace

from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import ImageGoneError
from oasis_ray.job.latency import Latency
from oasis_ray.types import Call, Reply, Request


class SimulatedEngine:
    """Answers with `script(call)` when a model of this latency would have."""

    def __init__(self, script: ScriptedEngine, latency: Latency) -> None:
        self._script, self._latency = script, latency
        self._free = 0.0  # when the prompts that wait will have been read
        self._writing = 0
        self._images: OrderedDict[str, None] = OrderedDict()

    async def ask(self, call: Call) -> Reply:
        """What the script says, with the tokens that were read and found in the cache."""
        for image in call.request.images:
            if not image.data and image.digest not in self._images:
                raise ImageGoneError(image.digest)
        reply = await self._script.ask(call)
        prompt, cached = self._read(call.request)
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + (prompt - cached) / self._latency.read_tokens_per_s
        await asyncio.sleep(self._free - now)
        self._writing += 1
        try:
            tokens = max(sample.tokens for sample in reply.samples)
            await asyncio.sleep(tokens * (self._latency.token_s + self._latency.token_s_per_reply * self._writing))
        finally:
            self._writing -= 1
        holds = self._latency.cached_images
        return replace(reply, prompt_tokens=prompt, cached_tokens=cached, keeps=True, holds=holds)

    async def check(self) -> None:
        """A simulation is always well."""

    def close(self) -> None:
        """Nothing was started."""

    def _read(self, request: Request) -> tuple[int, int]:
        """The tokens of a prompt, and how many of them are in the cache."""
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
