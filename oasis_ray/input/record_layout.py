"""Layout of a record list: the columns of its shards, decided from all its records."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from oasis_ray.input.columns import IMAGE
from oasis_ray.input.conversations import KEYS, is_conversation, read_conversation
from oasis_ray.input.record_columns import is_mixture, kind_of, type_of
from oasis_ray.input.record_images import image_keys
from oasis_ray.input.record_lists import Record


@dataclass
class Layout:
    """Layout of a record list: the kinds of values of each key, and the keys that give images."""

    kinds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    used: set[str] = field(default_factory=set)  # keys that gave the image of a record
    unused: set[str] = field(default_factory=set)  # image keys of records whose image another key gave
    has_images: bool = False

    def add(self, record: Record) -> None:
        """Count the values of one record."""
        for key, value in record.items():
            kinds = self.kinds[key]
            if value is not None:
                kinds[kind_of(key, value)] += 1
        keys = image_keys(record)
        self.used.update(keys[:1])
        self.unused.update(keys[1:])
        self.has_images = self.has_images or bool(keys) or any(_shows_image(record.get(key)) for key in KEYS)

    @cached_property
    def columns(self) -> dict[str, pa.DataType]:
        """Columns besides `id` and `image`, in the order in which their keys first occur."""
        replaced = {"id", "image", *(self.used - self.unused)}
        return {key: type_of(kinds) for key, kinds in self.kinds.items() if key not in replaced}

    @property
    def schema(self) -> pa.Schema:
        """Schema of all shards. It has no column `image` if no record has an image."""
        return pa.schema({"id": pa.string()} | ({"image": IMAGE} if self.has_images else {}) | self.columns)

    def notes(self) -> list[str]:
        """Return a note for each column that is text because its values have no other type in common."""
        mixed = {key: self.kinds[key] for key in self.columns if is_mixture(self.kinds[key])}
        return [
            f"column {key!r} is text, because its values are {', '.join(f'{kind} ({n})' for kind, n in kinds.items())}"
            for key, kinds in mixed.items()
        ]


def _shows_image(value: Any) -> bool:
    try:
        return is_conversation(value) and bool(read_conversation(value).images)
    except (ValueError, RecursionError):
        return False
