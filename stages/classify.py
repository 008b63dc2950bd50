"""Classify: a model chooses one of several words, such as Yes or No; with `accept`, other choices reject the row.

The checks of MM-INF (`Correct`, `Yes`) are such a choice. MM-INF compares the whole reply, so that `Correct.` counts as
incorrect; here the form of the reply does not matter. Genixer (arXiv 2312.06731) filters by the probability of Yes: it
keeps what is above 0.7. That is `at_least`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, field_validator, model_validator

from oasis_ray.stage import FAILED, REJECTED, Divert, Image, ModelStage, PromptField, Reply, Request, Slots, nearest

BRACKETED = re.compile(r"\[\[([^\[\]]+)\]\]")
AROUND = " *_`\"'“”„‘’«»「」『』[]【】［］.。．"  # what may stand around a choice


@dataclass(frozen=True, slots=True)
class In:
    """What is judged: the texts that the prompt reads, and the image if the model should see it."""

    image: Image | None = None
    texts: Slots = field(default_factory=Slots)


@dataclass(frozen=True, slots=True)
class Out:
    """The choice, as the recipe writes it, the whole reply, for audits, and the probability of the accepted choices."""

    choice: str
    reply: str
    probability: float | None = None


class Classify(ModelStage[In, Out]):
    """Asks for one of the choices, and rejects rows whose choice is not accepted."""

    prompt: PromptField = Field(description="The prompt. It asks for a choice in double square brackets: `[[Yes]]`.")
    choices: tuple[str, ...] = Field(min_length=2, description="What the model can choose, such as `[Yes, No]`.")
    accept: tuple[str, ...] | None = Field(None, description="Choices that accept a row. Without it every choice does.")
    terse: bool = Field(False, description="Let the model write only the choice: cheaper, but without reasoning first.")
    at_least: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Accept a row by the probability of the accepted choices, from this one on, in place of the choice "
        "itself. The model writes only the choice. 0 notes the probability and rejects nothing.",
    )
    below: float | None = Field(None, ge=0, le=1, description="Accept only rows whose probability is less than this.")

    @property
    def judges(self) -> bool:
        """Whether choices decide over rows."""
        return self.accept is not None

    def words(self, field: str) -> tuple[str, ...]:
        """Return the choices that a row may have after this node."""
        accepted = None if self.weighs else self.accept
        return (accepted or self.choices) if field == "choice" else ()

    @field_validator("choices", "accept", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        for one in value if isinstance(value, list | tuple) else ():
            if isinstance(one, bool):
                raise ValueError(f'{one} is a boolean, not a text; write the choice in quotes, such as "Yes" or "true"')
        return value

    @model_validator(mode="after")
    def _probabilities_can_be_read(self) -> "Classify":
        if not self.weighs:
            return self
        if self.accept is None:
            raise ValueError("at_least and below need `accept`: the choices whose probability counts")
        if self.at_least is not None and self.below is not None and self.below <= self.at_least:
            raise ValueError(f"below {self.below:g} is not more than at_least {self.at_least:g}: no row is accepted")
        begins: dict[str, str] = {}
        for choice in self.choices:
            other = begins.setdefault(choice[:1].casefold(), choice)
            if other != choice:
                raise ValueError(
                    f"choices {other!r} and {choice!r} begin with the same letter; probabilities are those of the "
                    "first token, which may be the same. Choose words that differ in it, such as Yes and No"
                )
        return self

    @property
    def weighs(self) -> bool:
        """Whether probabilities decide over rows."""
        return self.at_least is not None or self.below is not None

    @model_validator(mode="after")
    def _choices_differ(self) -> "Classify":
        keys = {_key(choice) for choice in self.choices}
        if "" in keys or len(keys) < len(self.choices):
            raise ValueError(f"choices are words that differ in more than upper and lower case, not {self.choices}")
        if self.accept is not None and (not self.accept or not {*self.accept} <= {*self.choices}):
            raise ValueError(f"accept lists some of the choices ({', '.join(self.choices)}), not {self.accept}")
        return self

    def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        """Report words that the prompt asks for in double square brackets, and that are not among the choices."""
        choices = {_key(choice) for choice in self.choices}
        asked = [word for word in BRACKETED.findall(self.prompt.text) if _key(word) not in choices]
        return [
            f"prompt '{self.prompt.name}' asks for [[{word}]], which is not one of the choices "
            f"({', '.join(self.choices)}).{nearest(word, self.choices)}"
            for word in dict.fromkeys(asked)
        ]

    def requests(self, row: In) -> list[Request]:
        """Return one request, with the image first if there is one."""
        images = () if row.image is None else (row.image,)
        choices = self.choices if self.terse or self.weighs else ()
        text = self.prompt.fill(row.texts)
        return [Request(text, images, sampling=self.sampling, choices=choices, weigh=self.weighs)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the last `[[choice]]`, or else a last line that is a choice or ends in `: choice`."""
        reply = replies[0].text
        words = {_key(choice): choice for choice in self.choices}
        found = [words[key] for key in map(_key, BRACKETED.findall(reply)) if key in words]
        if not found and replies[0].samples[0].finish == "stop":  # half a reply may end in any word
            found = [words[key] for key in _at_the_end(reply, words)]
        if not found:
            return Divert(FAILED, "no_choice", reply)
        if self.weighs:
            return self._by_probability(found[-1], replies[0])
        out = Out(found[-1], reply)
        slug = re.sub(r"\W", "_", out.choice.lower())
        return out if self.accepts(out) else Divert(REJECTED, f"choice_{slug}", reply, out)

    def _by_probability(self, choice: str, reply: Reply) -> Out | Divert:
        weights = reply.samples[0].probabilities
        if weights is None:
            return Divert(FAILED, "no_probability", reply.text)
        probability = sum(weights[word] for word in self.accept or ())
        out, detail = Out(choice, reply.text, probability), f"{probability:.3f}"
        if self.at_least is not None and probability < self.at_least:
            return Divert(REJECTED, "probability_low", detail, out)
        return out if self.accepts(out) else Divert(REJECTED, "probability_high", detail, out)

    def accepts(self, out: Out) -> bool:
        """Whether the choice, or its probability, is accepted."""
        if out.probability is not None:
            return (self.at_least or 0.0) <= out.probability < (2.0 if self.below is None else self.below)
        return self.accept is None or out.choice in self.accept


def _key(text: str) -> str:
    """Return a text as choices are compared: without case, and without marks around it."""
    return " ".join(text.split()).strip(AROUND).casefold()


def _at_the_end(reply: str, keys: Iterable[str]) -> list[str]:
    """Return the keys that the last line is, or that follow a colon at its end; the longest last."""
    lines = [key for key in map(_key, reply.splitlines()) if key]
    line = lines[-1] if lines else ""
    ends = [key for key in sorted(keys, key=len) if line.endswith(key)]
    return [key for key in ends if line == key or line.removesuffix(key).rstrip(AROUND).endswith((":", "："))]
