"""Arguments of vLLM's engine, from a pool of a job."""

from typing import Any

from oasis_ray.job.pool import Pool


def encoder_tokens(pool: Pool, model: Any) -> int:
    """Return how many image tokens' encoder output (one hidden state each) fits into `encoder_cache_gb`."""
    return int(pool.encoder_cache_gb * 2**30 / (model.get_inputs_embeds_size() * model.dtype.itemsize))


def engine_args(pool: Pool, folder: str, *, gpus: bool, images: bool, placed: bool = True) -> dict[str, Any]:
    """Return the arguments of vLLM's AsyncEngineArgs for a pool whose model is in `folder`.

    images: the model accepts images. placed: its GPUs are those of the placement group of this process.
    """
    context = pool.max_context_tokens
    args: dict[str, Any] = {
        "model": folder,
        "load_format": "safetensors",  # vLLM's own default falls back to pickles
        "max_model_len": context,
        "max_num_seqs": pool.max_sequences,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",  # rows finish rather than pile up: see pipeline.node.NodeRunner
        "generation_config": "vllm",  # sampling parameters come from the recipe only
        # JSON of a schema is written without white space between its parts: a small model would write it without end.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    if images:
        args["limit_mm_per_prompt"] = {"image": 1, "video": 0}
    if pool.image_pixels:
        args["mm_processor_kwargs"] = {"min_pixels": pool.image_pixels[0], "max_pixels": pool.image_pixels[1]}
    if gpus:
        args |= {
            "tensor_parallel_size": pool.tensor_parallel,
            "pipeline_parallel_size": pool.pipeline_parallel,
            "gpu_memory_utilization": round(0.9 * pool.gpu_share, 3),
        }
        if placed:
            args["distributed_executor_backend"] = "ray"  # its workers use the bundles of the placement group
    else:
        # A seeded request fails on CPUs if its prompt is split ("CPU Generator does not use offset"), so prefill is not
        # chunked, and a batch has room for the longest prompt.
        args |= {"enforce_eager": True, "enable_chunked_prefill": False, "max_num_batched_tokens": max(context, 4096)}
    return args | pool.engine_args
