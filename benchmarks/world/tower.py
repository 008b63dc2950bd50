"""Teach the tower to see: what stands in each cell, in the language model's own embeddings of the words for it.

So a picture's token is from the start something like a sum of word embeddings, and the language model looks things up
in a picture much as it would in a text. It is by far the quickest way to get there that was tried.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from benchmarks.world.desk import TOKENS
from benchmarks.world.forward import patches, see
from benchmarks.world.learner import Learner, Log, Plan
from benchmarks.world.phrases import LANGUAGES, NAMES
from benchmarks.world.picture import draw_picture
from benchmarks.world.scene import GRID, PLACES, VALUES, WORDS, Scene, Thing, scenes


def train_tower(
    model: Qwen2VLForConditionalGeneration, words: PreTrainedTokenizerFast, plan: Plan, seed: str, log: Path
) -> None:
    """Train the tower and the embeddings together for `plan.steps` steps."""
    embed = model.model.language_model.embed_tokens
    weights = {f"visual.{n}": p for n, p in model.model.visual.named_parameters()} | {"embed": embed.weight}
    learner, report = Learner(weights, plan), Log(log, "tower")
    groups = cell_words(words)
    for rng, batch in scenes(seed, plan.batch):
        pixels = patches(np.stack([np.asarray(draw_picture(scene, rng)) for scene in batch]))
        seen = see(model, pixels).view(-1, embed.weight.shape[1])
        losses, right = [], {}
        for name, (choices, label) in groups.items():
            wanted = torch.tensor([label(scene, cell) for scene in batch for cell in range(TOKENS)])
            full = wanted < len(choices[0])
            for ids in choices:
                logits = functional.pad(seen @ embed(torch.tensor(ids)).T, (0, 1)).float() * 4
                losses.append(
                    functional.cross_entropy(logits[full], wanted[full])
                    + functional.cross_entropy(logits[~full], wanted[~full])
                )
            right[name] = (logits[full].argmax(-1) == wanted[full]).float().mean().item()
        loss = torch.stack(losses).mean()
        learner.learn(loss)
        report.add(learner.step, loss=loss.item(), **right)
        if learner.step >= plan.steps:
            return


Label = Callable[[Scene, int], int]


def cell_words(words: PreTrainedTokenizerFast) -> dict[str, tuple[list[list[int]], Label]]:
    """By group, what a cell may hold: the tokens of the choices, a list a language, and the choice that a cell shows.

    A cell that shows none of the choices has the label after the last.
    """

    def first(texts: Iterable[str]) -> list[int]:
        return [words.encode(text)[-1] for text in texts]

    def spoken(name: str) -> list[list[int]]:
        names = {language: NAMES[language][name] for language in LANGUAGES}
        return [first(names["zh"]), *(first(f" {text}" for text in names[language]) for language in ("en", "es"))]

    groups: dict[str, tuple[list[list[int]], Label]] = {
        name: (spoken(name), _label(name, NAMES["en"][name])) for name in ("shape", "color", "size")
    }
    groups["word"] = ([first(f" {word}" for word in WORDS), first(WORDS)], _label("word", WORDS))
    groups["value"] = ([first(map(str, VALUES))], _label("value", VALUES))
    kinds = [first((" shape", " sign", " bar")), first(("图形", "牌子", "柱子"))]
    groups["kind"] = (kinds, _label("kind", ("shape", "sign", "bar")))
    groups["place"] = ([first(NAMES["zh"]["place"])], _label("place", PLACES))
    groups["vertical"] = ([first((" top", " bottom"))], _half("row"))
    groups["horizontal"] = ([first((" left", " right"))], _half("column"))
    return groups


def _shown(scene: Scene, cell: int) -> Thing | None:
    """The thing in a cell; a bar counts where its value stands."""
    return next((thing for thing in scene.things if thing.row * GRID + thing.column == cell), None)


def _label(name: str, choices: Sequence[object]) -> Label:
    def of(scene: Scene, cell: int) -> int:
        value = getattr(_shown(scene, cell), name, None)
        return choices.index(value) if value in choices else len(choices)

    return of


def _half(axis: str) -> Label:
    def of(scene: Scene, cell: int) -> int:
        thing = _shown(scene, cell)
        return 2 if thing is None else int(getattr(thing, axis) >= GRID // 2)

    return of
