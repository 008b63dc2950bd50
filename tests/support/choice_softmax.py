"""Probabilities of choices by hand: a softmax over the first tokens that begin one choice, with transformers."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from oasis_ray.engine.chat_template import Chat
from oasis_ray.types import Request


def softmax_of_choices(model: Path, request: Request) -> dict[str, float]:
    """The probability of each choice of a request without an image."""
    words = AutoTokenizer.from_pretrained(model)
    loader = AutoModelForImageTextToText if "vlm" in model.name else AutoModelForCausalLM
    with torch.no_grad():
        ids = torch.tensor([Chat.load(str(model)).ids(request)])
        logits = loader.from_pretrained(model, dtype=torch.float32)(input_ids=ids).logits[0, -1]
    texts = [words.decode([at]) for at in range(len(logits))]
    begun = {
        choice: [at for at, text in enumerate(texts) if text and choice.startswith(text)] for choice in request.choices
    }
    masses = {choice: logits[at].double().exp().sum().item() for choice, at in begun.items()}
    return {choice: mass / sum(masses.values()) for choice, mass in masses.items()}
