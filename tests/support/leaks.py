"""What a run leaves behind, as text in which a key would be seen."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def readable(name: str, data: bytes) -> str:
    """All that a file says; a Parquet part is compressed, so it is read as what it is."""
    if name.endswith(".parquet"):
        return repr(pq.read_table(pa.BufferReader(data)).to_pylist())
    return data.decode(errors="replace")


def texts_below(folder: Path) -> dict[str, str]:
    """What the files below a folder say, by path. Ray takes files of its own away meanwhile."""
    found = {}
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file() and not file.is_symlink():
                found[str(file)] = readable(file.name, file.read_bytes())
    return found


def holding(texts: Mapping[str, str], *secrets: str) -> list[str]:
    """The names of those texts that hold one of the secrets."""
    return [name for name, text in texts.items() if any(secret in text for secret in secrets)]
