"""What a job file may not bring along: secrets, which would stand in the manifest, and code that comes with a model."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# A user and password before the host (a user alone is a secret only to a web server), or what a signed URL ends with.
SECRET_IN_URL = re.compile(
    r"^https?://[^/?#]*@|://[^/?#]*:[^/?#]*@|[?&]([\w-]*signature|sig|[\w-]*token|[\w-]*api[_-]?key)=", re.IGNORECASE
)
WEIGHTS_WITHOUT_CODE = (
    "safetensors", "fastsafetensors", "instanttensor", "mistral", "runai_streamer", "runai_streamer_sharded",
    "sharded_state", "ipc_cache", "dummy",
)  # fmt: skip
REFUSED_ENGINE_ARGS = {
    "trust_remote_code": "Python code that comes with a model is never run; take a model that vLLM knows itself",
    "hf_token": "it would stand in the run's manifest; set HF_TOKEN in the environment",
}


def without_secret(value: str | None) -> str | None:
    """A place as it is. Raises ValueError where it holds a secret, which is not repeated."""
    if value is not None and SECRET_IN_URL.search(value):
        raise ValueError(
            "this URL holds a password, token or signature, which would stand in the run's manifest; "
            "give credentials in the environment (docs/security.md)"
        )
    return value


def variable_name(value: str) -> str:
    """The name of an environment variable. Raises ValueError where it is none, and may be the key itself."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise ValueError("this is the name of an environment variable (OPENAI_API_KEY), never the key itself")
    return value


def harmless_engine_args(value: dict[str, Any]) -> dict[str, Any]:
    """Arguments for vLLM as they are. Raises ValueError where they would run code or hold a secret."""
    for name in _keys(value):
        if name in REFUSED_ENGINE_ARGS:
            raise ValueError(f"{name} is not taken: {REFUSED_ENGINE_ARGS[name]}")
    if value.get("load_format", "safetensors") not in WEIGHTS_WITHOUT_CODE:
        shown = ", ".join(WEIGHTS_WITHOUT_CODE)
        raise ValueError(f"load_format {value['load_format']!r} may read pickles, which hold code; taken: {shown}")
    return value


def refuse_pickles(folder: Path) -> None:
    """Return where the weights in a model folder can be read without running code, else raise ValueError."""
    pickles = sorted(file.name for end in ("bin", "pt", "pth") for file in folder.glob(f"*.{end}"))
    if pickles and not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"model: {str(folder)!r} has its weights as pickles ({pickles[0]}), which hold code; "
            "save them as safetensors (save_pretrained of transformers does)"
        )


def _keys(value: Any) -> Iterator[str]:
    """All keys in a value of nested mappings and lists."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _keys(inner)
