"""Generate: asks a model with a prompt, and takes the reply as a text.

Most steps of MM-INF's recipes are such a request. A folder of prompts, of which each row gets one, is Genixer's way to
ask for questions of several kinds (arXiv 2312.06731).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, model_validator

from oasis_ray.stage import (
    FAILED,
    REJECTED,
    Divert,
    Image,
    ModelStage,
    Prompt,
    PromptField,
    PromptsField,
    Reply,
    Request,
    SchemaField,
    Slots,
    nearest,
)


@dataclass(frozen=True, slots=True)
class In:
    """The texts that the prompt reads, the image if the model should see it, and the name of one of `prompts`."""

    image: Image | None = None
    variant: str = ""
    texts: Slots = field(default_factory=Slots)


@dataclass(frozen=True, slots=True)
class Out:
    """The reply, without surrounding white space."""

    text: str


class Generate(ModelStage[In, Out]):
    """Asks once. Rejects rows whose reply is empty or was cut off."""

    prompt: PromptField | None = Field(None, description="The prompt.")
    prompts: PromptsField | None = Field(
        None,
        description="In place of `prompt`: a folder of prompts, such as `ask` for `prompts/ask/count.txt`. The input "
        "`variant` names the prompt.",
    )
    keep_truncated: bool = Field(False, description="Keep replies that were cut off at max_tokens.")
    keep_reasoning: bool = Field(
        False, description="Keep the reasoning of a reasoning model, before its answer: `<think>…</think>`."
    )
    schema_: SchemaField | None = Field(
        None,
        alias="schema",
        description="A JSON schema, as a mapping: the model writes only JSON of this schema, without reasoning first.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "Generate":
        if (self.prompt is None) == (self.prompts is None):
            raise ValueError("give either `prompt`, or `prompts`: a folder of which the input `variant` names a prompt")
        return self

    @model_validator(mode="after")
    def _json_alone(self) -> "Generate":
        for key in ("keep_truncated", "keep_reasoning"):
            if self.schema_ is not None and getattr(self, key):
                raise ValueError(
                    f"with a `schema` the text is JSON, and with `{key}` it may not be; remove one of them"
                )
        return self

    def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        """Report a missing `variant`, which would fail every row, and one that nothing reads."""
        if self.prompts is not None and "variant" not in inputs:
            return [f"input 'variant' names one of {', '.join(self.prompts.variants)}; add `variant: node.field`"]
        if self.prompt is not None and "variant" in inputs and "variant" not in self.prompt.slots:
            return ["input 'variant' is read with `prompts` only; remove it, or name a folder of prompts"]
        return []

    def word_problems(self, words: Mapping[str, Collection[str]]) -> list[str]:
        """Report words of `variant` that have no prompt."""
        if self.prompts is None or "variant" not in words:
            return []
        variants = self.prompts.variants
        return [
            f"the folder of prompts '{self.prompts.name}' has no prompt '{word}', which input 'variant' may be "
            f"(it has: {', '.join(variants)}).{nearest(word, variants)}"
            for word in words["variant"]
            if word not in variants
        ]

    def requests(self, row: In) -> list[Request]:
        """Return one request, with the image first if there is one; none if there is no such variant."""
        prompt = self._prompt(row)
        images = () if row.image is None else (row.image,)
        texts = {**row.texts, "variant": row.variant}  # a prompt may read it too
        schema = "" if self.schema_ is None else self.schema_.text
        return [] if prompt is None else [Request(prompt.fill(texts), images, sampling=self.sampling, schema=schema)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Return the reply, or reject the row."""
        if self.prompts is not None and self._prompt(row) is None:
            possible = ", ".join(self.prompts.variants)
            return Divert(FAILED, "no_such_variant", f"{row.variant!r} is not one of: {possible}")
        sample = replies[0].samples[0]
        text = sample.text.strip()
        if not text:
            return Divert(REJECTED, "empty_text", sample.text)
        if sample.finish == "length" and not self.keep_truncated:
            return Divert(REJECTED, "text_truncated", sample.text)
        if self.schema_ is not None and (problem := self.schema_.problem(text)) is not None:
            return Divert(FAILED, "not_of_schema", f"{problem}\n{sample.text}")
        if self.keep_reasoning and sample.reasoning:  # engines separate it from the answer
            text = f"<think>\n{sample.reasoning}\n</think>\n\n{text}"
        return Out(text)

    def _prompt(self, row: In) -> Prompt | None:
        return self.prompt if self.prompts is None else self.prompts.variants.get(row.variant)
