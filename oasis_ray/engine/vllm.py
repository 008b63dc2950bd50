"""vLLM engine: `AsyncLLM` inside a replica, with continuous batching over the requests of all nodes."""

import asyncio
import os
import sys
import time
from typing import Any, Literal
from uuid import uuid4

from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.choice_probabilities import TOP, choice_probabilities
from oasis_ray.engine.model_files import download
from oasis_ray.engine.reasoning import answer_of
from oasis_ray.engine.vllm_args import encoder_tokens, engine_args
from oasis_ray.engine.vllm_metrics import loggers
from oasis_ray.errors import EngineLostError, ImageGoneError, RowError, RunError
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.pool import Pool
from oasis_ray.stage.reply_schema import ADVICE
from oasis_ray.types import Call, Image, Reply, Request, Sample

# How vLLM's errors about the length of a prompt begin.
OF_PROMPT = ("This model's maximum context length", "The decoder prompt", "The encoder prompt")
IMAGES = 10_000  # maximum remembered digests; then all are dropped, and images are sent again


class VllmEngine:
    """One vLLM engine on the GPUs of its replica's placement group, or on the CPU."""

    def __init__(self, pool: Pool, *, gpus: bool, sharing: int = 1, placed: bool = True) -> None:
        # vLLM reads these variables on its first import.
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(max(1, round(pool.kv_cache_gb))))
        os.environ.setdefault("VLLM_RAY_PER_WORKER_GPUS", str(pool.gpu_share))
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        if not gpus:
            # On CPUs vLLM's core process hands each step to a worker process and busy-waits, on a CPU core that the
            # model could use. This makes the core process compute itself, and waiting threads sleep.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            from vllm.utils.torch_utils import available_cpu_count

            # Ray sets this to 1 for processes that request less than one CPU.
            os.environ["OMP_NUM_THREADS"] = str(pool.threads or max(1, available_cpu_count() // sharing))
        from vllm import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        folder = str(download(pool.model, pool.revision))
        self._chat = Chat.load(folder, switches=pool.template)
        self._limit, self._stall = pool.max_context_tokens, pool.stall_timeout_s
        self._asked, self._moved = 0, time.monotonic()
        self._images: set[str] = set()  # digests of images that vLLM has got
        self._keeps_images = pool.engine_args.get("mm_processor_cache_gb") != 0
        args = engine_args(pool, folder, gpus=gpus, images=self._chat.image_token is not None, placed=placed)
        ray = sys.modules.get("ray") if placed else None
        if ray is not None and ray.is_initialized():
            # vLLM's core process would join the Ray cluster that was started last on this machine.
            os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
        try:
            engine = AsyncEngineArgs(**args)
            config = engine.create_engine_config(UsageContext.ENGINE_CONTEXT)
        except TypeError as error:
            raise RunError(f"pool of {pool.model}: vLLM does not accept these engine_args: {error}") from None
        # By default vLLM caches encoder output for as many tokens as a batch has: a few large images. But each request
        # of a row needs that of its image, because the prefix cache ends in the middle of it, and the encoder would
        # run again. vLLM has no argument for this.
        default = config.scheduler_config.encoder_cache_size
        config.scheduler_config.encoder_cache_size = max(default, encoder_tokens(pool, config.model_config))
        self._llm = AsyncLLM.from_vllm_config(
            config, stat_loggers=loggers(self._beat), enable_log_requests=engine.enable_log_requests
        )
        self._kv_tokens = config.cache_config.num_gpu_blocks * config.cache_config.block_size

    async def ask(self, call: Call) -> Reply:
        """Answer one call with vLLM.

        Raises RowError `prompt_over_context` if the prompt does not fit, `schema_refused` if vLLM can't guide a reply
        by the schema, ImageGoneError if an image without bytes is not in vLLM's cache, EngineLostError if the core
        process has died.
        """
        from vllm.exceptions import VLLMValidationError
        from vllm.v1.engine.exceptions import EngineDeadError

        prompt: dict[str, Any] = {"prompt_token_ids": self._chat.ids(call.request)}
        images = call.request.images
        if images:
            # vLLM caches a processed image under this id, and then accepts the id alone.
            prompt["multi_modal_uuids"] = {"image": [image.digest for image in images]}
            known = self._keeps_images and all(image.digest in self._images for image in images)
            prompt["multi_modal_data"] = {"image": [None for _ in images] if known else await _decoded(images)}
        if not self._asked:
            self._beat()  # it was idle, not stalled
        self._asked += 1
        try:
            last = await self._generate(prompt, call)
        except VLLMValidationError as error:
            if call.request.schema and not str(error).startswith(OF_PROMPT):
                raise RowError("schema_refused", f"{str(error).strip().rstrip('.')}; {ADVICE}") from None
            raise RowError("prompt_over_context", f"{error} (max_context_tokens is {self._limit})") from None
        except EngineDeadError as error:
            raise EngineLostError(f"vLLM's core process has died: {error}") from None
        finally:
            self._asked -= 1
        if last is None:
            raise RunError("vLLM ended a request without an answer")
        if call.request.schema and any(out.finish_reason == "error" for out in last.outputs):
            raise RowError(
                "schema_refused", f"vLLM could not guide a reply by the schema, and its log says why; {ADVICE}"
            )
        samples = tuple(_sample(out, call.request) for out in sorted(last.outputs, key=lambda out: out.index))
        read, cached = len(last.prompt_token_ids or ()), last.num_cached_tokens or 0
        holds = self._kv_tokens // (read + sum(sample.tokens for sample in samples))
        return Reply(samples, read, cached, keeps=self._keeps_images, holds=holds)

    async def _generate(self, prompt: dict[str, Any], call: Call) -> Any:
        """Return the last output of vLLM. An image that vLLM has dropped from its cache is sent again."""
        from vllm.v1.engine.exceptions import EngineGenerateError

        images = call.request.images
        try:
            last = await self._once(prompt, call)
        except (ValueError, EngineGenerateError) as error:
            if not images or "Cache miss" not in f"{error} {error.__cause__}":
                raise
            last = await self._once(prompt | {"multi_modal_data": {"image": await _decoded(images)}}, call)
        if len(self._images) > IMAGES:
            self._images.clear()
        self._images.update(image.digest for image in images)
        return last

    async def _once(self, prompt: dict[str, Any], call: Call) -> Any:
        last = None
        name = f"{call.row}-{uuid4().hex}"
        async for output in self._llm.generate(prompt, self._sampling(call), request_id=name, priority=call.priority):
            last = output
        return last

    def _sampling(self, call: Call) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling, choices = call.request.sampling, list(call.request.choices)
        banned, guided = self._chat.banned_ids(sampling), None
        if choices or call.request.schema:
            guided = StructuredOutputsParams(choice=choices or None, json=call.request.schema or None)
        return SamplingParams(
            n=call.request.n,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            min_tokens=sampling.min_tokens,
            frequency_penalty=sampling.frequency_penalty,
            presence_penalty=sampling.presence_penalty,
            logit_bias=dict.fromkeys(banned, -100.0) if banned else None,
            logprobs=TOP if call.request.weigh else 0 if call.request.likelihood else None,
            seed=call.seed if sampling.temperature > 0 else None,
            stop_token_ids=self._chat.stop_ids,
            structured_outputs=guided,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    async def check(self) -> None:
        """Raise EngineLostError if vLLM's core process has died, or has requests and makes no step."""
        if self._llm.errored:
            raise EngineLostError(f"vLLM's core process has died: {self._llm.dead_error}")
        still = time.monotonic() - self._moved
        if self._asked and still > self._stall:
            raise EngineLostError(
                f"vLLM has {self._asked} requests and has made no step for {still:.0f} s (stall_timeout_s)"
            )

    def close(self) -> None:
        """Stop vLLM's core process."""
        self._llm.shutdown()

    def _beat(self) -> None:
        self._moved = time.monotonic()


def _sample(out: Any, request: Request) -> Sample:
    """Convert an output of vLLM. Raises RowError `reply_only_reasoning` if there is no answer."""
    text, reasoning = answer_of(out.text)
    mean = out.cumulative_logprob / max(1, len(out.token_ids)) if request.likelihood else None
    ended: Literal["stop", "length"] = "stop" if out.finish_reason == "stop" else "length"
    weights = None
    if request.weigh:  # vLLM applies the constraint before it takes these, so that they are those of the choices
        first = [(one.decoded_token or "", one.logprob) for one in out.logprobs[0].values()]
        weights = choice_probabilities(request.choices, first)
    return Sample(text, ended, len(out.token_ids), mean, reasoning, weights)


async def _decoded(images: tuple[Image, ...]) -> list[Any]:
    """Decode images for vLLM, in threads: a large one takes tenths of a second, which would block other requests.

    Raises ImageGoneError if an image comes without its bytes.
    """
    for image in images:
        if not image.data:
            raise ImageGoneError(image.digest)
    return [await asyncio.to_thread(decode, image) for image in images]
