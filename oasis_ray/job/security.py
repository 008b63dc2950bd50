"""Security checks of a job file: no secrets, which would end up in the manifest, and no code shipped with a model."""

import re
from pathlib import Path

# User and password before the host (for http a user alone may be a secret), or the query of a signed URL.
SECRET_IN_URL = re.compile(
    r"^https?://[^/?#]*@|://[^/?#]*:[^/?#]*@|[?&]([\w-]*signature|sig|[\w-]*token|[\w-]*api[_-]?key)=", re.IGNORECASE
)


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


def refuse_pickles(folder: Path) -> None:
    """Check that the weights in a model folder can be read without running code. Raises ValueError if not."""
    pickles = sorted(file.name for end in ("bin", "pt", "pth") for file in folder.glob(f"*.{end}"))
    if pickles and not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"model: {str(folder)!r} has its weights as pickles ({pickles[0]}), which can contain code; "
            "save them as safetensors (save_pretrained of transformers does)"
        )
