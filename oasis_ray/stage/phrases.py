"""Phrases: text files with phrases of one meaning, one file per language and one phrase per line.

A set of phrases is a folder: `prompts/describe/en.txt`. A job may name its own folder, which is searched first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from oasis_ray.errors import nearest
from oasis_ray.stage.prompt import LANGUAGE, Prompt, reference, text_of


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases with one meaning, by language (ISO 639-1 as langdetect writes it: en, zh-cn). They may have slots."""

    name: str
    languages: Mapping[str, tuple[str, ...]]

    @property
    def prompts(self) -> list[Prompt]:
        """The phrases as prompts."""
        return [Prompt(self.name, text) for texts in self.languages.values() for text in texts]

    def in_language(self, language: str, fallback: str) -> tuple[str, ...]:
        """Return the phrases in a language, else in its base language (`zh` for `zh-cn`), else in `fallback`."""
        own = language if language in self.languages else language.partition("-")[0]
        return self.languages.get(own) or self.languages[fallback]

    @property
    def digest(self) -> str:
        """The SHA-256 of all phrases."""
        return sha256(repr(sorted(self.languages.items())).encode()).hexdigest()


def load_phrases(name: str, folders: Sequence[Path]) -> Phrases:
    """Load phrases from the first folder that has them. Raises ValueError with the existing names."""
    for folder in folders:
        files = sorted(path for path in folder.glob("*/*.txt") if path.parent.name == name)
        if files:
            texts = {path.stem: text_of(path).splitlines() for path in files}
            return Phrases(name, {lang: tuple(line for line in lines if line) for lang, lines in texts.items()})
    languages: dict[str, bool] = {}  # a folder with a file of another name holds prompts
    for path in (path for folder in folders for path in folder.glob("*/*.txt")):
        languages[path.parent.name] = languages.get(path.parent.name, True) and bool(LANGUAGE.fullmatch(path.stem))
    known = sorted(name for name, only in languages.items() if only)
    raise ValueError(f"there are no phrases {name!r} (known: {', '.join(known)}).{nearest(name, known)}")


def _phrases(value: Any, info: ValidationInfo) -> Phrases:
    return value if isinstance(value, Phrases) else load_phrases(str(value), (info.context or {})["prompts"])


# Field type for stages, as `prompt.PromptField`.
PhrasesField = Annotated[Phrases, BeforeValidator(_phrases), PlainSerializer(reference)]
