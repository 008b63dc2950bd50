"""Text files of users: byte-order marks, Windows line endings, and YAML with duplicate keys.

Every text file that a user supplies is read here: jobs, recipes, prices, prompts, lists, benchmarks. A UTF-8
byte-order mark is skipped. UTF-16 is rejected with a clear message, because its readers would each see something else.
"""

import codecs
import re
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from oasis_ray.errors import JobError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes, where: str) -> str:
    """Return the text of a file, with Unix line endings. Raises JobError if it is not UTF-8."""
    _refuse_utf16(data, where)
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        bad = f"byte {data[error.start]:#04x} at position {error.start}"
        raise JobError([f"{where} is not UTF-8 ({bad}); save it as UTF-8"]) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> str:
    """Return the text of a file. Raises JobError if it is not UTF-8."""
    return decoded(path.read_bytes(), str(path))


def open_text(stream: BinaryIO, where: str) -> BinaryIO:
    """Return the stream, positioned after a UTF-8 byte-order mark. Raises JobError if it is UTF-16."""
    begins = stream.read(4)
    _refuse_utf16(begins, where)
    stream.seek(len(codecs.BOM_UTF8) if begins.startswith(codecs.BOM_UTF8) else 0)
    return stream


def read_yaml_text(text: str, where: str) -> Any:
    """Parse YAML 1.2: `no` is a string, `010` is ten, a date is a string.

    Raises JobError with every duplicate key and its line numbers, or with the syntax error.
    """
    loader = _Loader(text)
    try:
        value = loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise JobError([f"{where} is not YAML: {error}"]) from None
    finally:
        loader.dispose()
    if loader.duplicates:
        raise JobError(f"{where}, line {line}: duplicate key '{key}' (first in line {before})"
                       for key, before, line in loader.duplicates)  # fmt: skip
    return value


def _refuse_utf16(data: bytes, where: str) -> None:
    if data.startswith(UTF16) or b"\0" in data[:4]:
        raise JobError([f"{where} is UTF-16; save it as UTF-8"])


class _Loader(yaml.SafeLoader):
    """YAML 1.2 loader. PyYAML's own reads YAML 1.1, where `no`, `off`, 010 and 1:30 are not what they look like."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (the form that PyYAML expects)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[tuple[str, int, int]] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, and record its duplicate keys."""
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if key.tag != "tag:yaml.org,2002:merge":
                if name in lines:
                    self.duplicates.append((name, lines[name], line))
                lines.setdefault(name, line)
        return super().construct_mapping(node, deep)


def _integer(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o") else int(text)


# YAML 1.2.2, 10.3.2: the core schema.
for kind, pattern, first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"^(?:{pattern})$"), first)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
