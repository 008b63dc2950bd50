"""Prompts and phrases: text files, known by name, filled in one pass.

`prompts/clarity.txt` is the prompt `clarity`; its slots are written {{instruction}}. A folder of one file a language
(`prompts/describe/en.txt`), a phrase a line, is a set of phrases. A job may name a folder of its own, which is looked
into first.
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
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,4})?")  # a file of phrases is named so; a folder may hold prompts instead


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text with slots."""

    name: str
    text: str

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots' names, each once, in the order of the text."""
        return tuple(dict.fromkeys(SLOT.findall(self.text)))

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return sha256(self.text.encode()).hexdigest()

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every slot filled, in one pass: a slot's name inside a value stays as it is.

        Raises KeyError where a slot has no value; the recipe's contracts rule that out before a run.
        """
        return SLOT.sub(lambda slot: values[slot[1]], self.text)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Ways to say one thing, by language (ISO 639-1 as langdetect writes it: en, zh-cn)."""

    name: str
    languages: Mapping[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """The SHA-256 of all phrases."""
        return sha256(repr(sorted(self.languages.items())).encode()).hexdigest()


def load_prompt(name: str, folders: Sequence[Path]) -> Prompt:
    """Read the prompt `name` from the first folder that has it. Raises ValueError with the names that exist."""
    for folder in folders:
        path = {path.stem: path for path in folder.glob("*.txt")}.get(name)
        if path is not None:
            return Prompt(name, _text_of(path).strip())
    known = sorted({path.stem for folder in folders for path in folder.glob("*.txt")})
    raise ValueError(f"there is no prompt {name!r} (known: {', '.join(known)}).{nearest(name, known)}")


def load_phrases(name: str, folders: Sequence[Path]) -> Phrases:
    """Read the phrases `name` from the first folder that has them. Raises ValueError with the names that exist."""
    for folder in folders:
        files = sorted(path for path in folder.glob("*/*.txt") if path.parent.name == name)
        if files:
            texts = {path.stem: _text_of(path).splitlines() for path in files}
            return Phrases(name, {lang: tuple(line for line in lines if line) for lang, lines in texts.items()})
    files = [path for folder in folders for path in folder.glob("*/*.txt") if LANGUAGE.fullmatch(path.stem)]
    known = sorted({path.parent.name for path in files})
    raise ValueError(f"there are no phrases {name!r} (known: {', '.join(known)}).{nearest(name, known)}")


def _text_of(path: Path) -> str:
    """The text in a file, in the form that pydantic reports: a ValueError."""
    try:
        return read_text(path)
    except JobError as error:
        raise ValueError(*error.problems) from None


def _prompt(value: Any, info: ValidationInfo) -> Prompt:
    return value if isinstance(value, Prompt) else load_prompt(str(value), (info.context or {})["prompts"])


def _phrases(value: Any, info: ValidationInfo) -> Phrases:
    return value if isinstance(value, Phrases) else load_phrases(str(value), (info.context or {})["prompts"])


def _known_by(value: Prompt | Phrases) -> dict[str, str]:
    return {"name": value.name, "digest": value.digest}


# Fields of a stage: written as a name in YAML, loaded when the recipe is validated (context key `prompts`: folders),
# and written into a manifest as name and digest.
PromptField = Annotated[Prompt, BeforeValidator(_prompt), PlainSerializer(_known_by)]
PhrasesField = Annotated[Phrases, BeforeValidator(_phrases), PlainSerializer(_known_by)]
