"""A pool of a job: a model, its backend, and its engines."""

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from oasis_ray.job.engine_args import harmless_engine_args
from oasis_ray.job.gpu_type import EngineType, Replicas
from oasis_ray.job.latency import Latency
from oasis_ray.job.security import variable_name, without_secret


class Pool(BaseModel):
    """Identical engines of one model, shared by all nodes that name the pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        description="A model folder, a model id on the Hugging Face hub, or the URL of a folder in a store."
    )
    revision: str | None = Field(
        None, description="Branch, tag or commit on the hub; for a URL, the revision that `run.json` records."
    )
    backend: Literal["vllm", "openai", "scripted", "simulated"] = Field(
        "vllm",
        description="vllm: engines in this cluster. openai: a server with the OpenAI API. scripted: a Python function, "
        "for tests. simulated: a Python function, with the latency of a large model.",
    )
    replicas: Replicas = Field(
        (1, 1),
        description="Number of engines, or [minimum, maximum] for autoscaling (minimum 0: none before a request).",
    )
    gpu_type: str | None = Field(
        None, description="Use only GPUs of this type, as Ray names it (`accelerator_type:…` in `ray status -v`): H100."
    )
    gpu_types: dict[str, EngineType] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("gpu_types", "types"),
        description="Several GPU types in one pool: `{H100: {replicas: 4, tensor_parallel: 2}, A100: {replicas: "
        "[0, 8]}}`. Each row stays on one type; a type with a higher throughput gets more rows.",
    )
    shared: str | None = Field(
        None,
        description="A name. Jobs on one cluster with the same name share the engines, which stop with the last job.",
    )
    idle_s: float = Field(600, ge=0, description="An engine without requests for this long is stopped.")
    device: Literal["gpu", "cpu", "auto"] = Field("gpu", description="auto: GPUs if the cluster has any, else CPUs.")
    tensor_parallel: int = Field(1, ge=1, description="GPUs per engine that each layer is split over.")
    pipeline_parallel: int = Field(
        1, ge=1, description="Pipeline stages per engine that the layers are distributed over."
    )
    gpu_share: float = Field(
        1.0, gt=0, le=1, description="Share of a GPU per engine; below 1, several small engines share a GPU."
    )
    max_context_tokens: int = Field(8192, ge=64, description="Maximum tokens per request: prompt, images and reply.")
    max_sequences: int = Field(128, ge=1, description="Maximum concurrent requests per engine.")
    image_pixels: tuple[int, int] | None = Field(
        None, description="[minimum, maximum] pixels that images are resized to."
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="Threads per engine on CPUs. Default: the cores of the machine, divided evenly among the "
        "engines of the job.",
    )
    kv_cache_gb: float = Field(1.0, gt=0, description="KV cache per engine on CPUs, in GB.")
    encoder_cache_gb: float = Field(
        1.0,
        ge=0,
        description="Cache of encoded images per engine, in GB. 1 GB holds 100 large images for a 7B model.",
    )
    start_timeout_s: float = Field(1800, gt=0, description="An engine that has not started after this long has failed.")
    stall_timeout_s: float = Field(
        300, gt=0, description="An engine with requests but no step for this long is replaced."
    )
    engine_args: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments for vLLM's AsyncEngineArgs."
    )
    template: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Switches of the model's chat template, as its model card names them: `{enable_thinking: false}`.",
    )
    url: str | None = Field(None, description="openai: base URL of the server, such as http://host:8000/v1.")
    tokenizer: str | None = Field(
        None, description="openai: model folder or hub id of the chat template, if it differs from `model`."
    )
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: environment variable with the API key.")
    request_timeout_s: float = Field(600, gt=0, description="openai: timeout of one request.")
    request_retries: int = Field(4, ge=0, description="openai: retries of a failed request, with exponential backoff.")
    script: str | None = Field(
        None, description="scripted, simulated: `package.module:function`, which takes a Call and returns a Reply."
    )
    latency: Latency = Field(default_factory=Latency, description="simulated: latency model of the engine.")

    _no_secret = field_validator("url", "model", "tokenizer")(without_secret)
    _variable_name = field_validator("api_key_env")(variable_name)
    _harmless = field_validator("engine_args")(harmless_engine_args)

    @field_validator("image_pixels")
    @classmethod
    def _pixels_in_order(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 1 <= value[0] <= value[1]:
            raise ValueError(f"expected 1 <= minimum <= maximum pixels, not {list(value)}")
        return value

    @model_validator(mode="after")
    def _types_need_gpus(self) -> "Pool":
        if self.gpu_types and "replicas" in self.model_fields_set and self.replicas != self._replicas_of_all_types:
            raise ValueError("set `replicas` for each of `gpu_types`, not for the pool")
        if (self.gpu_types or self.gpu_type) and (self.device != "gpu" or self.backend not in ("vllm", "simulated")):
            raise ValueError(
                "`gpu_types` and `gpu_type` are for engines on GPUs: `device: gpu`, backend vllm or simulated"
            )
        if self.gpu_types and self.gpu_type:
            raise ValueError("`gpu_type` is for a pool with one type; remove it, or `gpu_types`")
        if self.gpu_types:
            object.__setattr__(self, "replicas", self._replicas_of_all_types)
        return self

    @property
    def _replicas_of_all_types(self) -> tuple[int, int]:
        counts = [engine_type.replicas for engine_type in self.gpu_types.values()]
        return sum(minimum for minimum, _ in counts), sum(maximum for _, maximum in counts)

    @model_validator(mode="after")
    def _backend_has_what_it_needs(self) -> "Pool":
        if self.backend == "openai" and not self.url:
            raise ValueError("backend openai needs `url`, the server's base URL (http://host:8000/v1)")
        if self.backend in ("scripted", "simulated") and not self.script:
            raise ValueError(f"backend {self.backend} needs `script`, a `package.module:function`")
        if self.gpu_share < 1 and self.gpus_per_engine > 1:
            raise ValueError(
                "gpu_share below 1 requires an engine on a single GPU; remove gpu_share, or remove tensor_parallel and "
                "pipeline_parallel"
            )
        return self

    @property
    def gpus_per_engine(self) -> int:
        """GPUs per engine, if it runs on GPUs."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def folder(self) -> str:
        """What to load: the absolute path of a model folder, or an id on the hub."""
        local = Path(self.model).expanduser()
        return str(local.resolve()) if local.is_dir() else self.model
