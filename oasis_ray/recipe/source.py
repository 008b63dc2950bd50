"""Source: the values that a recipe reads from each row of the input, by name and type.

A recipe declares them (`source: {image: image, question: text, hint: optional text}`), a job says which columns hold
them where the names differ. `optional` values may be null, and their columns may be missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oasis_ray.errors import nearest
from oasis_ray.types import Image, Turn

KINDS: Mapping[str, Any] = {
    "image": Image,
    "text": str,
    "list of texts": list[str],
    "integer": int,
    "number": float,
    "conversation": list[Turn],
}
OPTIONAL = "optional "


@dataclass(frozen=True, slots=True)
class SourceType:
    """The type of one value of the source: its kind, a key of `KINDS`, and whether it may be null."""

    kind: str
    optional: bool = False

    @property
    def annotation(self) -> Any:
        """The Python type, as stages annotate their inputs."""
        return KINDS[self.kind] | None if self.optional else KINDS[self.kind]

    def __str__(self) -> str:
        return f"{OPTIONAL * self.optional}{self.kind}"


def source_type(text: str) -> SourceType:
    """Parse `text` or `optional text`. Raises ValueError with the possible types."""
    kind = text.strip().removeprefix(OPTIONAL).strip()
    if kind not in KINDS:
        possible = f"{', '.join(KINDS)}, each also as `optional …`"
        raise ValueError(f"there is no type {text!r} (possible: {possible}).{nearest(kind, KINDS)}")
    return SourceType(kind, text.strip().startswith(OPTIONAL))


IMAGE_ONLY: Mapping[str, SourceType] = {"image": SourceType("image")}


def image_of(source: Mapping[str, SourceType]) -> str | None:
    """Return the name of the image among the values of a source, or None."""
    return next((name for name, kind in source.items() if kind.kind == "image"), None)
