"""Categorize: instruction or caption? Extracts one instruction from the text (Oasis, arXiv 2503.08741, step 2)."""

import re
from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import FAILED, Divert, ModelStage, PromptField, Reply, Request

KIND = re.compile(r"^[ \t*#>-]*kind[\s*]*[:\uff1a][\s*]*(instruction|caption)\b", re.IGNORECASE | re.MULTILINE)
# Up to the next label, another example, the end of a code fence, or the end of the reply.
INSTRUCTION = re.compile(
    r"^[ \t*#>-]*instruction[\s*]*[:\uff1a](?:\*\*)?(.+?)"
    r"(?=^[ \t*#>-]*(?:kind|instruction)[ \t*]*[:\uff1a]|^Text:[ \t]*$|^```[ \t]*\Z|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
QUOTES = (('"', '"'), ("“", "”"), ("「", "」"), ("'", "'"), ("`", "`"))


@dataclass(frozen=True, slots=True)
class In:
    """A text that a model wrote as the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The extracted instruction, and the whole reply, for audits."""

    instruction: str
    reply: str


class Categorize(ModelStage[In, Out]):
    """Asks for the kind of a text. Captions are diverted to the caption route."""

    prompt: PromptField = Field(description="The prompt. It reads `{{text}}`, and asks for `Kind:` and `Instruction:`.")

    @property
    def exits(self) -> tuple[str, ...]:
        """Captions leave for the route `caption`."""
        return ("caption",)

    def requests(self, row: In) -> list[Request]:
        """Return one request: the few-shot prompt, ending with the text."""
        return [Request(self.prompt.fill({"text": row.text}), sampling=self.sampling)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the lines `Kind:` and `Instruction:`."""
        return read_kind(replies[0])


def read_kind(reply: Reply) -> Out | Divert:
    """Parse the lines `Kind:` and `Instruction:`. The first kind counts; an instruction may have several lines."""
    kind = KIND.search(reply.text)
    if kind is None:
        return Divert(FAILED, "no_kind", reply.text)
    if kind[1].lower() == "caption":
        return Divert("caption", "caption", reply.text)
    match = INSTRUCTION.search(reply.text, kind.end())
    instruction = _unquoted(match[1].strip()) if match else ""
    if not instruction:
        return Divert(FAILED, "no_instruction", reply.text)
    if reply.samples[0].finish == "length":
        return Divert(FAILED, "instruction_truncated", reply.text)
    return Out(instruction, reply.text)


def _unquoted(text: str) -> str:
    """Remove a pair of quotes around the whole text."""
    for left, right in QUOTES:
        inner = text[len(left) : -len(right)]
        if (
            len(text) > 1
            and text.startswith(left)
            and text.endswith(right)
            and left not in inner
            and right not in inner
        ):
            return inner.strip()
    return text
