"""The pair of small models in the real formats: a Qwen2-VL of 4.5 and a Qwen2 of 2.7 million parameters, untrained."""

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from benchmarks.random_pair import CONVERSATION, bpe_tokenizer, special_ids, write
from benchmarks.world import lessons, phrases
from benchmarks.world.picture import SIDE
from benchmarks.world.scene import VALUES, WORDS

HEAD = 32  # a head's width, the smallest that vLLM runs on CPUs


def known_words() -> list[str]:
    """Every word that is said in the world, by users, models and judges."""
    words: set[str] = set("一二三四")
    tables = [phrases.REQUESTS, phrases.ANSWERS, phrases.SINGLE, phrases.MISSING, phrases.CAPTIONS]
    texts = [text for table in tables for kind in table.values() for text in kind.values()]
    flat = [phrases.UNSOLVABLE, phrases.UNCLEAR, phrases.CHART, phrases.EMPTY, phrases.ASIDE, phrases.GREETING]
    texts += [text for table in flat for text in table.values()]
    texts += [name for names in phrases.NAMES.values() for name in names.values()] + [WORDS, tuple(map(str, VALUES))]
    for text in texts:
        for phrase in (text,) if isinstance(text, str) else text:
            words.update(phrase.split(" "))
    spoken = [(lessons.PROMPTS / f"{name}.txt").read_text(encoding="utf-8") for name in lessons.NAMES]
    spoken += ["user assistant Kind: instruction caption Instruction: " + lesson for lesson in lessons.JUDGEMENTS]
    words.update(word for text in spoken for word in text.split())
    return sorted(words)


def world_tokenizer(spoken: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which each word of the world, and of the texts `spoken`, is one token, with a space before it
    and without.
    """
    known = sorted({*known_words(), *(word for text in spoken for word in text.split())})
    return bpe_tokenizer([*known, *(f" {word}" for word in known if word[0] < "\u2e80")], CONVERSATION)


def text_config(words: PreTrainedTokenizerFast, layers: int, width: int) -> dict[str, object]:
    """The shape of a language model."""
    ids = words.convert_tokens_to_ids
    return {
        "vocab_size": len(words), "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": width // HEAD, "num_key_value_heads": width // HEAD, "intermediate_size": width * 5 // 2,
        "max_position_embeddings": 4096, "tie_word_embeddings": True, "initializer_range": 0.04,
        "eos_token_id": ids("<|im_end|>"), "bos_token_id": ids("<|endoftext|>"),
    }  # fmt: skip


def new_llm(words: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """The model that reads text alone."""
    return Qwen2ForCausalLM(Qwen2Config(**text_config(words, layers=4, width=224)))


def new_vlm(words: PreTrainedTokenizerFast) -> Qwen2VLForConditionalGeneration:
    """The model that sees. Its tower looks at patches of 14 pixels; four make a token."""
    rope = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e4}
    config = Qwen2VLConfig(
        text_config=text_config(words, layers=4, width=256) | {"rope_parameters": rope},
        vision_config={"depth": 2, "embed_dim": 160, "num_heads": 5, "mlp_ratio": 4, "hidden_size": 256},
        tie_word_embeddings=True,
        **special_ids(words),
    )
    return Qwen2VLForConditionalGeneration(config)


def widened(
    model: torch.nn.Module, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> dict[str, torch.Tensor]:
    """The weights of a model that read the tokens of `old`, for one that reads those of `new`.

    A new token begins as the mean of the tokens that its text had.
    """
    weights = dict(model.state_dict())
    (name,) = (name for name in weights if name.endswith("embed_tokens.weight"))
    rows, ids = weights[name], old.get_vocab()
    parts = (
        [ids[token]] if token in ids else old.encode(new.decode([at]))
        for token, at in sorted(new.get_vocab().items(), key=lambda one: one[1])
    )
    weights[name] = torch.stack([rows[part].float().mean(0) for part in parts]).to(rows.dtype)
    return {key: weights[name] if key == "lm_head.weight" else weight for key, weight in weights.items()}


def save(folder: Path, model: torch.nn.Module, words: PreTrainedTokenizerFast) -> None:
    """Write a model folder: configuration, weights (bfloat16), tokenizer and, where it sees, the image processor."""
    write(folder, model, words)
    if isinstance(model, Qwen2VLForConditionalGeneration):
        Qwen2VLImageProcessorPil(min_pixels=SIDE * SIDE, max_pixels=SIDE * SIDE).save_pretrained(folder)
