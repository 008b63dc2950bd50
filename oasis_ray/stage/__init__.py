"""Stage: everything that a stage may import. Values and pure methods; no I/O, no clock, no randomness, no Ray."""

from oasis_ray.stage.base import ModelStage, RowStage, Stage
from oasis_ray.stage.language import MIN_CHARS, MIN_PROBABILITY, detect
from oasis_ray.stage.prompt import Phrases, PhrasesField, Prompt, PromptField
from oasis_ray.types import FAILED, GREEDY, REJECTED, Divert, Image, Reply, Request, Sample, Sampling

__all__ = [
    "FAILED",
    "GREEDY",
    "MIN_CHARS",
    "MIN_PROBABILITY",
    "REJECTED",
    "Divert",
    "Image",
    "ModelStage",
    "Phrases",
    "PhrasesField",
    "Prompt",
    "PromptField",
    "Reply",
    "Request",
    "RowStage",
    "Sample",
    "Sampling",
    "Stage",
    "detect",
]  # fmt: skip
