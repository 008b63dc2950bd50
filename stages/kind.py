"""Kind: notes whether a text is an instruction or a caption, and extracts the instruction; both stay on their route.

It asks and parses as `categorize` does (Oasis, arXiv 2503.08741, step 2), for recipes in which one row has texts of
both kinds.
"""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import Divert, ModelStage, PromptField, Reply, Request

from .categorize import In, read_kind

INSTRUCTION, CAPTION = "instruction", "caption"


@dataclass(frozen=True, slots=True)
class Out:
    """`instruction` or `caption`, the extracted instruction (empty of a caption), and the whole reply, for audits."""

    kind: str
    instruction: str
    reply: str


class Kind(ModelStage[In, Out]):
    """Asks for the kind of a text."""

    prompt: PromptField = Field(description="The prompt. It reads `{{text}}`, and asks for `Kind:` and `Instruction:`.")

    def words(self, field: str) -> tuple[str, ...]:
        """Return the kinds."""
        return (INSTRUCTION, CAPTION) if field == "kind" else ()

    def requests(self, row: In) -> list[Request]:
        """Return one request: the few-shot prompt, ending with the text."""
        return [Request(self.prompt.fill({"text": row.text}), sampling=self.sampling)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the lines `Kind:` and `Instruction:`."""
        result = read_kind(replies[0])
        if not isinstance(result, Divert):
            return Out(INSTRUCTION, result.instruction, result.reply)
        return Out(CAPTION, "", result.detail) if result.route == CAPTION else result
