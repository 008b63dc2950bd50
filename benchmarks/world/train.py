"""Train the demo's models. Everything is drawn afresh from the seed: no picture and no lesson is seen twice.

    python -m benchmarks.world.train vlm OUT      # the tower first, then the words with the tower held still
    python -m benchmarks.world.train llm OUT
    torchrun --standalone --nproc-per-node 2 -m benchmarks.world.train recipes OUT   # from the trained vlm

Each writes a model folder at OUT and a checkpoint beside it every few minutes; called again, it goes on from there.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from benchmarks.world import recipe_lessons
from benchmarks.world.desk import TOKENS, Desk, said_loss
from benchmarks.world.forward import patches, read, see
from benchmarks.world.learner import Learner, Log, Plan
from benchmarks.world.lessons import picture_lessons, text_lesson
from benchmarks.world.pair import new_llm, new_vlm, save, widened, world_tokenizer
from benchmarks.world.picture import draw_picture
from benchmarks.world.recipe_lessons import image_lessons, spoken
from benchmarks.world.scene import scenes
from benchmarks.world.tower import train_tower

SEED = 0
TRAINED_VLM = Path(__file__).parents[1] / "models" / "vlm"
TOWER = Plan(steps=400, batch=64, matrices=0.01, rest=2e-3)
VLM = Plan(steps=2800, batch=8, matrices=0.01, rest=2e-3)
LLM = Plan(steps=4800, batch=48, matrices=0.01, rest=2e-3)
RECIPES = Plan(steps=2000, batch=8, matrices=0.008, rest=1.5e-3)  # of each process
TEXTS = 48  # lessons without an image in a step


def train_vlm(out: Path, plan: Plan = VLM) -> None:
    """Tower, then words."""
    torch.manual_seed(SEED)
    words, log, checkpoint = world_tokenizer(), out.with_suffix(".log.jsonl"), out.with_suffix(".checkpoint.pt")
    out.parent.mkdir(parents=True, exist_ok=True)
    model, desk = new_vlm(words).to(torch.bfloat16), Desk(words)
    state = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    if state is None:
        train_tower(model, words, TOWER, f"tower {SEED}", log)
        torch.save({"model": model.state_dict()}, checkpoint)
    else:
        model.load_state_dict(state["model"])
    language = model.model.language_model
    learner = Learner(dict(language.named_parameters()), plan)
    if state and "learner" in state:
        learner.restore(state["learner"])
    report = Log(log, "vlm")
    for rng, batch in scenes(f"vlm {SEED} {learner.step}", plan.batch):
        if learner.step >= plan.steps:
            break
        pixels = patches(np.stack([np.asarray(draw_picture(scene, rng)) for scene in batch]))
        rows = [picture_lessons(scene, rng) for scene in batch]
        groups = desk.groups(rows)
        prefix, picture = with_images(model, desk, pixels)
        first, states = read(model, prefix, picture, [group.ids for group in groups])
        loss, right = said_loss(model.lm_head, first, states, groups)
        learner.learn(loss)
        report.add(learner.step, loss=loss.item(), **right)
        if report.due():
            torch.save({"model": model.state_dict(), "learner": learner.state()}, checkpoint)
    save(out, model, words)
    (out / "training.json").write_text(
        json.dumps({"seed": SEED, "tower": asdict(TOWER), "words": asdict(plan)}, indent=2)
    )


def train_llm(out: Path, plan: Plan = LLM) -> None:
    """The model that sorts, copies and judges text."""
    torch.manual_seed(SEED)
    words, checkpoint = world_tokenizer(), out.with_suffix(".checkpoint.pt")
    out.parent.mkdir(parents=True, exist_ok=True)
    model, desk = new_llm(words).to(torch.bfloat16), Desk(words)
    learner = Learner(dict(model.model.named_parameters()), plan)
    if checkpoint.exists():
        learner.restore(torch.load(checkpoint, weights_only=True))
    start, report = torch.tensor(desk.opening), Log(out.with_suffix(".log.jsonl"), "llm")
    for rng, batch in scenes(f"llm {SEED} {learner.step}", plan.batch):
        if learner.step >= plan.steps:
            break
        rows = [[text_lesson(rng, scene) for scene in batch]]
        groups = desk.groups(rows)
        first, states = read(model, model.model.embed_tokens(start)[None], None, [group.ids for group in groups])
        loss, right = said_loss(model.lm_head, first, states, groups)
        learner.learn(loss)
        report.add(learner.step, loss=loss.item(), **right)
        if report.due():
            torch.save(learner.state(), checkpoint)
    save(out, model, words)
    (out / "training.json").write_text(json.dumps({"seed": SEED, "words": asdict(plan)}, indent=2))


def train_recipes(out: Path, plan: Plan = RECIPES) -> None:
    """The model for MM-INF's recipes: the pair's VLM, which goes on to learn their lessons, with and without images.

    Where `torchrun` started several processes, each learns from lessons of its own, and their gradients are averaged.
    """
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    words, log, checkpoint = world_tokenizer(spoken()), out.with_suffix(".log.jsonl"), out.with_suffix(".checkpoint.pt")
    known = PreTrainedTokenizerFast.from_pretrained(TRAINED_VLM)
    model, desk = new_vlm(words).to(torch.bfloat16), Desk(words)
    model.load_state_dict(
        widened(Qwen2VLForConditionalGeneration.from_pretrained(TRAINED_VLM, dtype=torch.bfloat16), known, words)
    )
    language = model.model.language_model
    learner = Learner(dict(language.named_parameters()), plan)
    if checkpoint.exists():
        learner.restore(torch.load(checkpoint, weights_only=True))
    opening = torch.tensor(desk.opening)
    report = Log(log, "recipes") if rank == 0 else None
    for rng, batch in scenes(f"recipes {SEED} {rank} {learner.step}", plan.batch + TEXTS):
        if learner.step >= plan.steps:
            break
        shown, unshown = batch[: plan.batch], batch[plan.batch :]
        pixels = patches(np.stack([np.asarray(draw_picture(scene, rng)) for scene in shown]))
        prefix, picture = with_images(model, desk, pixels)
        about_images = desk.groups([image_lessons(scene, rng) for scene in shown], 9)
        about_texts = desk.groups([[recipe_lessons.text_lesson(rng, scene) for scene in unshown]], 6)
        loss, right = said_loss(
            model.lm_head, *read(model, prefix, picture, [group.ids for group in about_images]), about_images
        )
        text_loss, text_right = said_loss(
            model.lm_head,
            *read(model, language.embed_tokens(opening)[None], None, [group.ids for group in about_texts]),
            about_texts,
        )
        learner.learn((loss + text_loss) / 2)
        if report is None:
            continue
        report.add(learner.step, loss=loss.item(), text_loss=text_loss.item(), **text_right, **right)
        if report.due():
            torch.save(learner.state(), checkpoint)
    if rank == 0:
        save(out, model, words)
        plans = {"seed": SEED, "from": "vlm", "words": asdict(plan), "processes": world_size()}
        (out / "training.json").write_text(json.dumps(plans, indent=2))


def with_images(model: Qwen2VLForConditionalGeneration, desk: Desk, pixels: torch.Tensor) -> tuple[torch.Tensor, slice]:
    """The embeddings of a user's turn that begins with each image (n, p, width), and where the image is in it."""
    start = [*desk.opening, *desk.image]
    at = start.index(desk.image[1])
    picture = slice(at, at + TOKENS)
    with torch.no_grad():
        seen = see(model, pixels)
    prefix = model.model.language_model.embed_tokens(torch.tensor(start)).expand(len(pixels), -1, -1).clone()
    prefix[:, picture] = seen
    return prefix, picture


def world_size() -> int:
    """How many processes train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


if __name__ == "__main__":
    {"vlm": train_vlm, "llm": train_llm, "recipes": train_recipes}[sys.argv[1]](Path(sys.argv[2]))
