"""The forward pass for training: the models' own layers, with many lessons behind one picture.

A picture's tokens are computed once, and every lesson about it attends to them. Logits are those of transformers' own
forward pass over each conversation by itself (held by a test); this one is several times as fast on CPUs.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2ForCausalLM, Qwen2VLForConditionalGeneration

from benchmarks.world.picture import SIDE
from benchmarks.world.scene import GRID

PATCH = 14
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32) * 255  # Qwen2-VL's image processor
SPREAD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32) * 255


def patches(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, 112, 112, 3) as the processor cuts them: (n, 64, 588), the four patches of a token side by side."""
    n, g = len(pictures), SIDE // PATCH // 2
    scaled = torch.from_numpy((pictures - MEAN) / SPREAD)
    cut = scaled.view(n, g, 2, PATCH, g, 2, PATCH, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return cut.reshape(n, 4 * g * g, 3 * PATCH * PATCH)


def see(model: Qwen2VLForConditionalGeneration, pixels: Tensor) -> Tensor:
    """The tower's tokens: (n, 16, width)."""
    tower = model.model.visual
    weight = tower.patch_embed.proj.weight.sum(2).flatten(1)  # both frames of a still picture are the same
    x = functional.linear(pixels.to(weight.dtype), weight)
    n, length, width = x.shape
    side = torch.arange(length)
    cell, inner = side // 4, side % 4
    at = torch.stack([cell // GRID * 2 + inner // 2, cell % GRID * 2 + inner % 2], 1)
    cos, sin = (t.to(x.dtype) for t in tower.rotary_pos_emb(x, at))
    for block in tower.blocks:
        heads = block.attn.num_heads
        q, k, v = block.attn.qkv(block.norm1(x)).view(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v)
        x = x + block.attn.proj(mixed.transpose(1, 2).reshape(n, length, width))
        x = x + block.mlp(block.norm2(x))
    merger = tower.merger
    return merger.mlp(merger.ln_q(x).view(n, length // 4, 4 * width))  # type: ignore[no-any-return]


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention spelt out: on CPUs its backward pass over short rows is faster than the fused one's."""
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)) + mask
    return torch.matmul(scores.softmax(-1), v)


def read(
    model: Qwen2ForCausalLM | Qwen2VLForConditionalGeneration,
    prefix: Tensor,
    picture: slice | None,
    words: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Hidden states of the prefixes (n, p, width) and of each group of lessons (n, k, length, width) behind them.

    `prefix` holds embeddings, `words` token ids (n, k, length), a tensor for lessons of about the same length, and
    `picture` says which part of the prefix is one.
    """
    text = model.model if isinstance(model, Qwen2ForCausalLM) else model.model.language_model
    n, p, width = prefix.shape
    sizes = [n * p, *(ids.numel() for ids in words)]
    x = torch.cat([prefix.reshape(n * p, width), *(text.embed_tokens(ids).view(-1, width) for ids in words)])
    longest = max(ids.shape[2] for ids in words)
    first, after = _positions(p, picture)
    cos, sin = _angles(text, torch.cat([first, (after + torch.arange(longest)).expand(3, -1)], 1), x)
    causal = torch.full((p + longest, p + longest), float("-inf"), dtype=x.dtype).triu(1)
    for layer in text.layers:
        attend, y = layer.self_attn, _norm(layer.input_layernorm, x)
        parts = [part(y).split(sizes) for part in (attend.q_proj, attend.k_proj, attend.v_proj)]
        q0, k0, v0 = (part[0].view(n, p, -1, attend.head_dim).transpose(1, 2) for part in parts)
        q0, k0 = (turn(t, cos[:p], sin[:p]) for t in (q0, k0))
        mixed = [attention(q0, k0, v0, causal[:p, :p])]
        for group, ids in enumerate(words, 1):
            k, to = ids.shape[1], p + ids.shape[2]
            q, key, v = (part[group].view(n * k, to - p, -1, attend.head_dim).transpose(1, 2) for part in parts)
            q, key = (turn(t, cos[p:to], sin[p:to]) for t in (q, key))
            key = torch.cat([k0.repeat_interleave(k, 0), key], 2)
            v = torch.cat([v0.repeat_interleave(k, 0), v], 2)
            mixed.append(attention(q, key, v, causal[p:to, :to]))
        x = x + attend.o_proj(torch.cat([part.transpose(1, 2).reshape(-1, width) for part in mixed]))
        x = x + layer.mlp(_norm(layer.post_attention_layernorm, x))
    states = _norm(text.norm, x).split(sizes)
    return states[0].view(n, p, width), [s.view(*ids.shape, width) for s, ids in zip(states[1:], words, strict=True)]


def _norm(norm: nn.Module, x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)  # type: ignore[arg-type]


def _positions(p: int, picture: slice | None) -> tuple[Tensor, int]:
    """Positions of a prefix in three axes (time, row, column), and the first position after it."""
    at = torch.arange(p).expand(3, -1).clone()
    if picture is None:
        return at, p
    cell, start = torch.arange(GRID * GRID), picture.start
    at[:, picture] = start + torch.stack([torch.zeros_like(cell), cell // GRID, cell % GRID])
    at[:, picture.stop :] += GRID - GRID * GRID
    return at, p + GRID - GRID * GRID


def _angles(text: nn.Module, at: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding, (p + length, head width)."""
    sees = hasattr(text.rotary_emb, "mrope_section")
    cos, sin = text.rotary_emb(x, at[:, None] if sees else at[:1])
    return cos[0], sin[0]
