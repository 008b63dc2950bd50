"""vLLM inside a replica: `AsyncLLM` with continuous batching over everything that the nodes ask."""

import asyncio
import os
import sys
import time
from typing import Any, Literal
from uuid import uuid4

from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.model_files import download
from oasis_ray.engine.reasoning import answer_of
from oasis_ray.engine.vllm_args import encoder_tokens, engine_args
from oasis_ray.engine.vllm_metrics import loggers
from oasis_ray.errors import EngineLostError, ImageGoneError, RowError, RunError
from oasis_ray.input.image import decode
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Image, Reply, Sample

PICTURES = 10_000  # digests that are remembered; then all are forgotten, and pictures are given once more


class VllmEngine:
    """One vLLM engine on the GPUs of its replica's placement group, or on the CPU."""

    def __init__(self, pool: Pool, *, gpus: bool, sharing: int = 1, placed: bool = True) -> None:
        # vLLM reads these when it is first imported.
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(max(1, round(pool.kv_cache_gb))))
        os.environ.setdefault("VLLM_RAY_PER_WORKER_GPUS", str(pool.gpu_share))
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        if not gpus:
            # On CPUs vLLM's core hands each step to a worker process and spins until it is done, on a core that the
            # model could use. This lets the core compute by itself; and threads that wait don't spin either.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            from vllm.utils.torch_utils import available_cpu_count

            # Ray sets one thread for a process that asks for less than a CPU; the core would compute with that one.
            os.environ["OMP_NUM_THREADS"] = str(pool.threads or max(1, available_cpu_count() // sharing))
        from vllm import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        folder = str(download(pool.model, pool.revision))
        self._chat = Chat.load(folder)
        self._limit, self._stall = pool.max_context_tokens, pool.stall_timeout_s
        self._asked, self._moved = 0, time.monotonic()
        self._pictures: set[str] = set()  # digests that vLLM was given
        self._keeps_pictures = pool.engine_args.get("mm_processor_cache_gb") != 0
        args = engine_args(pool, folder, gpus=gpus, images=self._chat.image_token is not None, placed=placed)
        ray = sys.modules.get("ray") if placed else None
        if ray is not None and ray.is_initialized():
            # vLLM's core is a process of its own, which would join the cluster that was last started on this machine.
            os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
        try:
            given = AsyncEngineArgs(**args)
            config = given.create_engine_config(UsageContext.ENGINE_CONTEXT)
        except TypeError as error:
            raise RunError(f"pool of {pool.model}: vLLM does not take these engine_args: {error}") from None
        # By itself vLLM keeps the encoder's output of as many tokens as a batch has: of a few large pictures. But each
        # request of a row asks for its picture's, as the prefix cache ends in the middle of it, and the encoder would
        # run again. There is no argument for this.
        of_a_batch = config.scheduler_config.encoder_cache_size
        config.scheduler_config.encoder_cache_size = max(of_a_batch, encoder_tokens(pool, config.model_config))
        self._llm = AsyncLLM.from_vllm_config(
            config, stat_loggers=loggers(self._beat), enable_log_requests=given.enable_log_requests
        )
        self._kv_tokens = config.cache_config.num_gpu_blocks * config.cache_config.block_size

    async def ask(self, call: Call) -> Reply:
        """Answer one call with vLLM.

        Raises RowError `prompt_over_context` where the prompt leaves no room, PictureGoneError where a picture that
        comes without its bytes is not in vLLM's cache, EngineLostError where its core has died.
        """
        from vllm.exceptions import VLLMValidationError
        from vllm.v1.engine.exceptions import EngineDeadError

        prompt: dict[str, Any] = {"prompt_token_ids": self._chat.ids(call.request)}
        images = call.request.images
        if images:
            # vLLM keeps what it made of a picture under this name, and then takes the name alone.
            prompt["multi_modal_uuids"] = {"image": [image.digest for image in images]}
            known = self._keeps_pictures and all(image.digest in self._pictures for image in images)
            prompt["multi_modal_data"] = {"image": [None for _ in images] if known else await _decoded(images)}
        if not self._asked:
            self._beat()  # it was idle, which is no standing still
        self._asked += 1
        try:
            last = await self._generate(prompt, call)
        except VLLMValidationError as error:
            raise RowError("prompt_over_context", f"{error} (max_context_tokens is {self._limit})") from None
        except EngineDeadError as error:
            raise EngineLostError(f"vLLM's core process has died: {error}") from None
        finally:
            self._asked -= 1
        if last is None:
            raise RunError("vLLM ended a request without an answer")
        samples = tuple(
            _sample(out, likelihood=call.request.likelihood) for out in sorted(last.outputs, key=lambda out: out.index)
        )
        read, cached = len(last.prompt_token_ids or ()), last.num_cached_tokens or 0
        holds = self._kv_tokens // (read + sum(sample.tokens for sample in samples))
        return Reply(samples, read, cached, keeps=self._keeps_pictures, holds=holds)

    async def _generate(self, prompt: dict[str, Any], call: Call) -> Any:
        """The last output of vLLM. A picture that it was given by its name alone, and no longer has, is given again."""
        from vllm.v1.engine.exceptions import EngineGenerateError

        images = call.request.images
        try:
            last = await self._once(prompt, call)
        except (ValueError, EngineGenerateError) as error:
            if not images or "Cache miss" not in f"{error} {error.__cause__}":
                raise
            last = await self._once(prompt | {"multi_modal_data": {"image": await _decoded(images)}}, call)
        if len(self._pictures) > PICTURES:
            self._pictures.clear()
        self._pictures.update(image.digest for image in images)
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

        wanted, choices = call.request.sampling, list(call.request.choices)
        banned = self._chat.banned_ids(wanted)
        return SamplingParams(
            n=call.request.n,
            temperature=wanted.temperature,
            top_k=wanted.top_k,
            top_p=wanted.top_p,
            max_tokens=wanted.max_tokens,
            min_tokens=wanted.min_tokens,
            frequency_penalty=wanted.frequency_penalty,
            presence_penalty=wanted.presence_penalty,
            logit_bias=dict.fromkeys(banned, -100.0) if banned else None,
            logprobs=0 if call.request.likelihood else None,
            seed=call.seed if wanted.temperature > 0 else None,
            stop_token_ids=self._chat.stop_ids,
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    async def check(self) -> None:
        """Raise EngineLostError where vLLM's core process has died, or has requests and makes no step."""
        if self._llm.errored:
            raise EngineLostError(f"vLLM's core process has died: {self._llm.dead_error}")
        still = time.monotonic() - self._moved
        if self._asked and still > self._stall:
            raise EngineLostError(
                f"vLLM has {self._asked} requests and has made no step for {still:.0f} s (stall_timeout_s)"
            )

    def close(self) -> None:
        """End vLLM's core process."""
        self._llm.shutdown()

    def _beat(self) -> None:
        self._moved = time.monotonic()


def _sample(out: Any, *, likelihood: bool) -> Sample:
    """One of vLLM's outputs. Raises RowError `reply_only_reasoning` where no answer follows the reasoning."""
    text, reasoning = answer_of(out.text)
    mean = out.cumulative_logprob / max(1, len(out.token_ids)) if likelihood else None
    ended: Literal["stop", "length"] = "stop" if out.finish_reason == "stop" else "length"
    return Sample(text, ended, len(out.token_ids), mean, reasoning)


async def _decoded(images: tuple[Image, ...]) -> list[Any]:
    """The pictures as vLLM takes them. A large one takes tenths of a second, in which the engine answers others.

    Raises PictureGoneError where one comes without its bytes.
    """
    for image in images:
        if not image.data:
            raise ImageGoneError(image.digest)
    return [await asyncio.to_thread(decode, image) for image in images]
