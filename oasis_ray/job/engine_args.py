"""Engine arguments (`pools.*.engine_args`): refuses those that would run code of a model, or that are a secret."""

from collections.abc import Iterator, Mapping
from typing import Any

WEIGHTS_WITHOUT_CODE = (
    "safetensors", "fastsafetensors", "instanttensor", "mistral", "runai_streamer", "runai_streamer_sharded",
    "sharded_state", "ipc_cache", "dummy",
)  # fmt: skip
REJECTED_ENGINE_ARGS = {
    "trust_remote_code": "Python code that comes with a model is never run; use a model that vLLM supports natively",
    "hf_token": "it would be written to the manifest of the run; set HF_TOKEN in the environment",
}


def harmless_engine_args(value: dict[str, Any]) -> dict[str, Any]:
    """Return arguments for vLLM unchanged. Raises ValueError if they would run code or contain a secret."""
    for name in _keys(value):
        if name in REJECTED_ENGINE_ARGS:
            raise ValueError(f"{name} is not allowed: {REJECTED_ENGINE_ARGS[name]}")
    if value.get("load_format", "safetensors") not in WEIGHTS_WITHOUT_CODE:
        shown = ", ".join(WEIGHTS_WITHOUT_CODE)
        raise ValueError(
            f"load_format {value['load_format']!r} may read pickles, which can contain code; allowed: {shown}"
        )
    return value


def _keys(value: Any) -> Iterator[str]:
    """Yield all keys in nested mappings and lists."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _keys(inner)
