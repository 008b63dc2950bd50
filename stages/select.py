"""Select: takes from a list the texts with one of some labels, such as the captions among a model's texts."""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import FAILED, Divert, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """Texts, and the label of each."""

    texts: list[str]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Out:
    """The texts that have one of the labels, in order, and how many they are."""

    texts: list[str]
    count: int


class Select(RowStage[In, Out]):
    """Selects texts by their labels. Where none has such a label, the list is empty."""

    labels: tuple[str, ...] = Field(min_length=1, description="The labels to select.")

    @property
    def text_from(self) -> tuple[str, ...]:
        """The texts, not their labels."""
        return ("texts",)

    def apply(self, row: In) -> Out | Divert:
        """Return the texts, or divert a row whose lists differ in length."""
        if len(row.texts) != len(row.labels):
            return Divert(FAILED, "lists_differ", f"texts: {len(row.texts)}, labels: {len(row.labels)}")
        texts = [text for text, label in zip(row.texts, row.labels, strict=True) if label in self.labels]
        return Out(texts, len(texts))
