"""Write a pair of tiny models with random weights: a Qwen2-VL and a Qwen2 that vLLM loads as it loads the large ones.

They know nothing: their replies are noise. They are for running everything else (engines, pools, the graph, the
sinks) on any machine, in minutes and without a network. The tokenizer is a real byte-level BPE, trained here on the
project's own prompts, with the special tokens and the chat template form of the Qwen2 family.

    python benchmarks/random_pair.py models/random
"""

import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

VOCABULARY = 2048
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
# GPT-4's splitting rule, as the Qwen tokenizers use it: words, single digits, punctuation, line breaks.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SYSTEM = "You are a helpful assistant."
# A user's turn has the image first and the words straight behind it.
CONVERSATION = """\
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}
{%- else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- else %}{{ part.text }}{% endif %}
{%- endfor %}
{%- endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
# As Qwen's do, with a system turn where there is none.
TEMPLATE = f"""\
{{%- if messages[0].role != 'system' %}}<|im_start|>system
{SYSTEM}<|im_end|>
{{% endif %}}
{CONVERSATION}"""


def bpe_tokenizer(texts: list[str], template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most 2,048 entries trained on `texts`, with the special tokens of the Qwen2 family."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        extra_special_tokens=SPECIAL[3:],
        chat_template=template,
        model_max_length=32768,
    )


def write(folder: Path, model: torch.nn.Module, words: PreTrainedTokenizerFast) -> None:
    """Save weights (bfloat16), tokenizer and generation settings as a model folder."""
    model.to(torch.bfloat16).save_pretrained(folder)
    words.save_pretrained(folder)
    ids = words.convert_tokens_to_ids
    GenerationConfig(
        eos_token_id=[ids("<|im_end|>"), ids("<|endoftext|>")], pad_token_id=ids("<|endoftext|>")
    ).save_pretrained(folder)


def special_ids(words: PreTrainedTokenizerFast) -> dict[str, int]:
    """Where a Qwen2-VL's configuration finds the tokens of its pictures."""
    ids = words.convert_tokens_to_ids
    return {
        "image_token_id": ids("<|image_pad|>"), "video_token_id": ids("<|video_pad|>"),
        "vision_start_token_id": ids("<|vision_start|>"), "vision_end_token_id": ids("<|vision_end|>"),
    }  # fmt: skip


def main(out: Path) -> None:
    """Write `out/vlm` and `out/llm`, the same bytes each time."""
    torch.manual_seed(0)
    prompts = sorted((Path(__file__).parents[1] / "prompts").rglob("*.txt"))
    words = bpe_tokenizer([path.read_text(encoding="utf-8") for path in prompts])
    ids = words.convert_tokens_to_ids
    text = {
        "vocab_size": len(words), "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 640, "max_position_embeddings": 32768,
        "tie_word_embeddings": True, "eos_token_id": ids("<|im_end|>"), "bos_token_id": ids("<|endoftext|>"),
    }  # fmt: skip
    write(out / "llm", Qwen2ForCausalLM(Qwen2Config(**text)), words)
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 1e6}
    config = Qwen2VLConfig(
        text_config=text | {"rope_parameters": rope},
        vision_config={"depth": 2, "embed_dim": 160, "num_heads": 5, "mlp_ratio": 4, "hidden_size": 256},
        tie_word_embeddings=True,
        **special_ids(words),
    )
    write(out / "vlm", Qwen2VLForConditionalGeneration(config), words)
    # 112 x 112 to 448 x 448 pixels: 16 to 256 tokens an image.
    Qwen2VLImageProcessorPil(min_pixels=112 * 112, max_pixels=448 * 448).save_pretrained(out / "vlm")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
