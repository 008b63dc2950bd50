"""A pool of a job: a model, how it is run, and how many engines of it there are."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oasis_ray.job.gpu_type import EngineType, Replicas
from oasis_ray.job.latency import Latency
from oasis_ray.job.security import harmless_engine_args, refuse_pickles, variable_name, without_secret


class Pool(BaseModel):
    """Identical engines of one model, shared by every node that names the pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        description="A model folder, the id of a model on the Hugging Face hub, or the URL of a folder in a store."
    )
    revision: str | None = Field(
        None, description="The hub's branch, tag or commit to take; of a URL what `run.json` calls its revision."
    )
    backend: Literal["vllm", "openai", "scripted", "simulated"] = Field(
        "vllm",
        description="vllm: engines in this cluster. openai: a server. scripted: a Python function, for tests. "
        "simulated: the same, in the time that a large model would take.",
    )
    replicas: Replicas = Field(
        (1, 1),
        description="How many engines: a number, or [least, most] to scale between (least 0: none until asked).",
    )
    gpu_type: str | None = Field(
        None, description="Only GPUs of this type, as Ray names it (`accelerator_type:…` in `ray status -v`): H100."
    )
    types: dict[str, EngineType] = Field(
        default_factory=dict,
        description="Several types of GPU in one pool: `{H100: {replicas: 4, tensor_parallel: 2}, A100: {replicas: "
        "[0, 8]}}`. Each row stays with one type, more go to the type that answers more.",
    )
    shared: str | None = Field(
        None,
        description="A name. All jobs of a cluster that say it use the same engines, which end with the last job.",
    )
    idle_s: float = Field(600, ge=0, description="An engine that has not been needed for this long is given back.")
    device: Literal["gpu", "cpu", "auto"] = Field("gpu", description="auto: GPUs where the cluster has any, else CPUs.")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share each layer of one engine.")
    pipeline_parallel: int = Field(1, ge=1, description="Groups of GPUs that the layers of one engine are spread over.")
    gpu_share: float = Field(1.0, gt=0, le=1, description="Less than 1 lets several small engines live on one GPU.")
    max_context_tokens: int = Field(8192, ge=64, description="Prompt, images and reply of one request together.")
    max_sequences: int = Field(128, ge=1, description="Requests that one engine works on at once.")
    image_pixels: tuple[int, int] | None = Field(None, description="[least, most] pixels an image is scaled to.")
    threads: int | None = Field(
        None,
        ge=1,
        description="Threads of an engine on CPUs. Left out, the machine's cores shared out evenly among the job's "
        "engines.",
    )
    kv_cache_gb: float = Field(1.0, gt=0, description="Memory for the KV cache of an engine on CPUs.")
    encoder_cache_gb: float = Field(
        1.0,
        ge=0,
        description="Memory of an engine for pictures that its encoder has read: 100 large ones of a 7B model.",
    )
    start_timeout_s: float = Field(1800, gt=0, description="An engine that is not up after this long has failed.")
    stall_timeout_s: float = Field(
        300, gt=0, description="An engine that has requests and makes no step for this long is replaced."
    )
    engine_args: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of vLLM's AsyncEngineArgs."
    )
    url: str | None = Field(None, description="openai: the server's base URL, such as http://host:8000/v1.")
    tokenizer: str | None = Field(
        None, description="openai: the model folder or hub id with the chat format, where the server's name is another."
    )
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: the environment variable that holds the key.")
    request_timeout_s: float = Field(600, gt=0, description="openai: how long one request may take.")
    request_retries: int = Field(
        4, ge=0, description="openai: how often a request that failed is made again, with growing waits."
    )
    script: str | None = Field(
        None, description="scripted, simulated: `package.module:function`, from a Call to a Reply."
    )
    latency: Latency = Field(default_factory=Latency, description="simulated: how fast the engine is.")

    _no_secret = field_validator("url", "model", "tokenizer")(without_secret)
    _a_name_and_no_key = field_validator("api_key_env")(variable_name)
    _no_code_and_no_secret = field_validator("engine_args")(harmless_engine_args)

    @field_validator("image_pixels")
    @classmethod
    def _pixels_in_order(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 1 <= value[0] <= value[1]:
            raise ValueError(f"least and most pixels must be in order and at least 1, not {list(value)}")
        return value

    @model_validator(mode="after")
    def _types_are_of_gpus(self) -> "Pool":
        if self.types and "replicas" in self.model_fields_set and self.replicas != self._of_all_types:
            raise ValueError("say `replicas` for each of `types`, not for all of them")
        if (self.types or self.gpu_type) and (self.device != "gpu" or self.backend not in ("vllm", "simulated")):
            raise ValueError("`types` and `gpu_type` are for engines on GPUs: `device: gpu`, backend vllm or simulated")
        if self.types and self.gpu_type:
            raise ValueError("`gpu_type` is for a pool with one type; take it out, or `types`")
        if self.types:
            object.__setattr__(self, "replicas", self._of_all_types)
        return self

    @property
    def _of_all_types(self) -> tuple[int, int]:
        counts = [one.replicas for one in self.types.values()]
        return sum(least for least, _ in counts), sum(most for _, most in counts)

    @model_validator(mode="after")
    def _backend_has_what_it_needs(self) -> "Pool":
        if self.backend == "openai" and not self.url:
            raise ValueError("backend openai needs `url`, the server's base URL (http://host:8000/v1)")
        if self.backend in ("scripted", "simulated") and not self.script:
            raise ValueError(f"backend {self.backend} needs `script`, a `package.module:function`")
        if self.gpu_share < 1 and self.gpus_per_engine > 1:
            raise ValueError("gpu_share below 1 is for engines of one GPU; take it out, or the parallel sizes")
        local = Path(self.model).expanduser()
        looks_local = self.model.startswith((".", "/", "~")) or self.model.count("/") > 1
        if self.backend == "vllm" and looks_local and "://" not in self.model and not (local / "config.json").is_file():
            raise ValueError(f"model: there is no model folder {str(local)!r} (a folder with config.json) here")
        if self.backend == "vllm":
            refuse_pickles(local)
        return self

    @property
    def gpus_per_engine(self) -> int:
        """GPUs of one engine, where it runs on GPUs."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def folder(self) -> str:
        """What a loader is given: the absolute path of a model folder, or the hub's id."""
        local = Path(self.model).expanduser()
        return str(local.resolve()) if local.is_dir() else self.model
