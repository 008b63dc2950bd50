"""Security checks of a job file: no secrets, which would end up in the manifest, and no code shipped with a model."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# User and password before the host (for http a user alone may be a secret), or the query of a signed URL.
SECRET_IN_URL = re.compile(
    r"^https?://[^/?#]*@|://[^/?#]*:[^/?#]*@|[?&]([\w-]*signature|sig|[\w-]*token|[\w-]*api[_-]?key)=", re.IGNORECASE
)
WEIGHTS_WITHOUT_CODE = (
    "safetensors", "fastsafetensors", "instanttensor", "mistral", "runai_streamer", "runai_streamer_sharded",
    "sharded_state", "ipc_cache", "dummy",
)  # fmt: skip
REJECTED_ENGINE_ARGS = {
    "trust_remote_code": "Python code that comes with a model is never run; use a model that vLLM supports natively",
    "hf_token": "it would be written to the manifest of the run; set HF_TOKEN in the environment",
}


def without_secret(value: str | None) -> str | None:
    """Return a path or URL unchanged. Raises ValueError if it contains a secret, which the message does not repeat."""
    if value is not None and SECRET_IN_URL.search(value):
        raise ValueError(
            "this URL contains a password, token or signature, which would be written to the manifest of the run; "
            "set credentials in the environment (docs/security.md)"
        )
    return value


def variable_name(value: str) -> str:
    """Return the name of an environment variable unchanged. Raises ValueError if it is not a name; it may be a key."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise ValueError("this must be the name of an environment variable (OPENAI_API_KEY), never the key itself")
    return value


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


def refuse_pickles(folder: Path) -> None:
    """Check that the weights in a model folder can be read without running code. Raises ValueError if not."""
    pickles = sorted(file.name for end in ("bin", "pt", "pth") for file in folder.glob(f"*.{end}"))
    if pickles and not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"model: {str(folder)!r} has its weights as pickles ({pickles[0]}), which can contain code; "
            "save them as safetensors (save_pretrained of transformers does)"
        )


def _keys(value: Any) -> Iterator[str]:
    """Yield all keys in nested mappings and lists."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _keys(inner)
