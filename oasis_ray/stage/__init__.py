"""Stage: the types and base classes that a stage may import.

No files except prompts, no network, no clock, no randomness, no Ray.
"""

from oasis_ray.errors import nearest
from oasis_ray.stage.base import ModelStage, RowStage, Stage
from oasis_ray.stage.language import MIN_CHARS, MIN_PROBABILITY, detect
from oasis_ray.stage.phrases import Phrases, PhrasesField
from oasis_ray.stage.prompt import Prompt, PromptField, Prompts, PromptsField
from oasis_ray.stage.reply_schema import ReplySchema, SchemaField
from oasis_ray.types import (
    FAILED,
    GREEDY,
    REJECTED,
    Chance,
    Divert,
    Image,
    Position,
    Reply,
    Request,
    Sample,
    Sampling,
    Slots,
    Turn,
)  # fmt: skip

__all__ = [
    "FAILED",
    "GREEDY",
    "MIN_CHARS",
    "MIN_PROBABILITY",
    "REJECTED",
    "Chance",
    "Divert",
    "Image",
    "ModelStage",
    "Phrases",
    "PhrasesField",
    "Position",
    "Prompt",
    "PromptField",
    "Prompts",
    "PromptsField",
    "Reply",
    "ReplySchema",
    "Request",
    "RowStage",
    "Sample",
    "Sampling",
    "SchemaField",
    "Slots",
    "Stage",
    "Turn",
    "detect",
    "nearest",
]  # fmt: skip
