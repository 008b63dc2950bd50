"""Lessons as tokens, and what a model that reads them still gets wrong."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from benchmarks.world.lessons import Lesson
from benchmarks.world.scene import GRID

TOKENS = GRID * GRID  # of a picture
GROUPS = 3


@dataclass
class Group:
    """Lessons of about the same length: their kinds, and token ids and weights, both (n, k, length)."""

    kinds: list[str]
    ids: Tensor
    weights: Tensor


class Desk:
    """Lessons as token ids: what is read, what is to be said, and how much each token counts."""

    def __init__(self, words: PreTrainedTokenizerFast) -> None:
        self.words = words
        ids = words.convert_tokens_to_ids
        self.end, self.pad = ids("<|im_end|>"), ids("<|endoftext|>")
        self.opening = words.encode("<|im_start|>user\n")
        self.turn = words.encode("<|im_end|>\n<|im_start|>assistant\n")
        self.image = [ids("<|vision_start|>"), *[ids("<|image_pad|>")] * TOKENS, ids("<|vision_end|>")]

    def tokens(self, lesson: Lesson) -> tuple[list[int], list[float]]:
        """The ids of a lesson behind its prefix, and a weight for each."""
        reply = [*self.words.encode(lesson.reply), self.end]
        if lesson.speaker == "user":
            begun = self.words.encode(lesson.asked) if lesson.asked else []
            return begun + reply, [0.0] * len(begun) + [0.7] * len(reply)
        asked = [*self.words.encode(lesson.asked), *self.turn]
        weights = [1.0] * len(reply)
        if lesson.reply.endswith("]]"):
            weights[-3] = 3.0  # the score
        return asked + reply, [0.0] * len(asked) + weights

    def groups(self, rows: list[list[Lesson]], count: int = GROUPS) -> list[Group]:
        """The lessons of each row in `count` groups of about the same length, so that little is padded."""
        said = [sorted(((lesson, *self.tokens(lesson)) for lesson in row), key=lambda one: len(one[1])) for row in rows]
        each = len(rows[0]) // count
        return [self._group([row[at : at + each] for row in said]) for at in range(0, len(rows[0]), each)]

    def _group(self, said: list[list[tuple[Lesson, list[int], list[float]]]]) -> Group:
        longest = max(len(tokens) for row in said for _, tokens, _ in row)
        ids = torch.full((len(said), len(said[0]), longest), self.pad)
        weights = torch.zeros(ids.shape)
        for n, row in enumerate(said):
            for k, (_, tokens, weight) in enumerate(row):
                ids[n, k, : len(tokens)] = torch.tensor(tokens)
                weights[n, k, : len(tokens)] = torch.tensor(weight)
        return Group([lesson.kind for row in said for lesson, _, _ in row], ids, weights)


def said_loss(
    head: nn.Linear, first: Tensor, states: list[Tensor], groups: list[Group]
) -> tuple[Tensor, dict[str, float]]:
    """The weighted mean loss, and by kind the share of lessons whose every token that counts would have been said."""
    losses: list[Tensor] = []
    count, kinds = torch.zeros(()), dict[str, list[bool]]()
    for group, state in zip(groups, states, strict=True):
        before = torch.cat([first[:, -1:, None].expand(-1, state.shape[1], -1, -1), state[:, :, :-1]], 2)
        counts = group.weights > 0
        logits, wanted, weight = head(before[counts]).float(), group.ids[counts], group.weights[counts]
        losses.append((functional.cross_entropy(logits, wanted, reduction="none") * weight).sum())
        count = count + weight.sum()
        right = torch.ones_like(counts)
        right[counts] = logits.argmax(-1) == wanted
        for kind, mark in zip(group.kinds, right.all(-1).flatten().tolist(), strict=True):
            kinds.setdefault(kind, []).append(mark)
    return torch.stack(losses).sum() / count, {kind: sum(marks) / len(marks) for kind, marks in kinds.items()}
