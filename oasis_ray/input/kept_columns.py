"""Kept columns: columns of the input that a job keeps in its records (`input.keep`), with their Arrow types.

All shards must have them, with the same type in each.
"""

from collections.abc import Sequence

import pyarrow as pa

from oasis_ray.errors import nearest
from oasis_ray.job.input import Input


class KeptColumns:
    """Collects the types of the kept columns from the schemas of the shards."""

    def __init__(self, config: Input) -> None:
        self._config = config
        self.types: dict[str, pa.DataType] = {}
        self._first = ""

    def problems(self, schema: pa.Schema, file: str) -> list[str]:
        """Note the types in a shard; return its problems."""
        problems = []
        for name in self._names(schema):
            if name not in schema.names:
                has = ", ".join(schema.names)
                meant = nearest(name, schema.names)
                problems.append(f"{file} has no column '{name}' (input.keep); it has: {has}.{meant}")
                continue
            kind = schema.field(name).type
            if self.types.setdefault(name, kind) != kind:
                other = f"{self.types[name]} in {self._first}"
                problems.append(f"{file}: column '{name}' (input.keep) is {kind}, but {other}; convert one of them")
        self._first = self._first or file
        return problems

    def _names(self, schema: pa.Schema) -> Sequence[str]:
        config = self._config
        if config.keep != "all":
            return config.keep
        if self._first:
            return list(self.types)
        return [name for name in schema.names if name not in (config.id, config.image, config.origin)]
