"""Prompts: text files, referenced by name; slots are filled in one pass.

`prompts/clarity.txt` is the prompt `clarity`; its slots are written {{instruction}}. A job may name its own folder,
which is searched first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from oasis_ray.errors import JobError, nearest
from oasis_ray.text_files import read_text

SLOT = re.compile(r"\{\{(\w+)\}\}")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,4})?")  # the name of a phrases file; a subfolder may hold prompts instead


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: a text with slots."""

    name: str
    text: str

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots, without duplicates, in the order of the text."""
        return tuple(dict.fromkeys(SLOT.findall(self.text)))

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return sha256(self.text.encode()).hexdigest()

    def fill(self, values: Mapping[str, str]) -> str:
        """Fill all slots in one pass: a slot inside a value is not filled.

        Raises KeyError if a slot has no value; checks of the recipe's bindings prevent that in a run.
        """
        return SLOT.sub(lambda slot: values[slot[1]], self.text)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of one folder, by name: variants of which a row gets one."""

    name: str
    variants: Mapping[str, Prompt]

    @property
    def digest(self) -> str:
        """The SHA-256 of all texts."""
        return sha256(repr(sorted((name, one.text) for name, one in self.variants.items())).encode()).hexdigest()


def load_prompt(name: str, folders: Sequence[Path]) -> Prompt:
    """Load a prompt from the first folder that has it. Raises ValueError with the existing names."""
    for folder in folders:
        path = {name_in(folder, path): path for path in folder.rglob("*.txt")}.get(name)
        if path is not None:
            return Prompt(name, text_of(path).strip())
    known = sorted({path.stem for folder in folders for path in folder.glob("*.txt")})
    raise ValueError(f"there is no prompt {name!r} (known: {', '.join(known)}).{nearest(name, known)}")


def load_prompts(name: str, folders: Sequence[Path]) -> Prompts:
    """Load a folder of prompts from the first folder that has it. Raises ValueError with the existing names."""
    for folder in folders:
        files = [path for path in sorted(folder.glob("*/*.txt")) if path.parent.name == name]
        if files:
            return Prompts(name, {path.stem: Prompt(f"{name}/{path.stem}", text_of(path).strip()) for path in files})
    files = [path for folder in folders for path in folder.glob("*/*.txt") if not LANGUAGE.fullmatch(path.stem)]
    known = sorted({path.parent.name for path in files})
    raise ValueError(f"there is no folder of prompts {name!r} (known: {', '.join(known)}).{nearest(name, known)}")


def name_in(folder: Path, path: Path) -> str:
    """Return the name of a prompt: its path below the folder without the suffix, such as `clarity` or `zh/match`."""
    return path.relative_to(folder).with_suffix("").as_posix()


def text_of(path: Path) -> str:
    """Return the text of a file. Raises ValueError, which pydantic reports."""
    try:
        return read_text(path)
    except JobError as error:
        raise ValueError(*error.problems) from None


def _prompt(value: Any, info: ValidationInfo) -> Prompt:
    return value if isinstance(value, Prompt) else load_prompt(str(value), (info.context or {})["prompts"])


def _prompts(value: Any, info: ValidationInfo) -> Prompts:
    return value if isinstance(value, Prompts) else load_prompts(str(value), (info.context or {})["prompts"])


def reference(value: Any) -> dict[str, str]:
    """Return the name and digest of a prompt, as manifests have them."""
    return {"name": value.name, "digest": value.digest}


# Field types for stages: a name in YAML, loaded when the recipe is validated (context key `prompts`: folders), and
# serialized in a manifest as name and digest.
PromptField = Annotated[Prompt, BeforeValidator(_prompt), PlainSerializer(reference)]
PromptsField = Annotated[Prompts, BeforeValidator(_prompts), PlainSerializer(reference)]
