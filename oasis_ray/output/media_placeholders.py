"""Placeholders and special tokens of trainers: words in a text that would act as media or as the end of a turn.

LLaMA-Factory counts `<image>`, `<video>` and `<audio>` in all turns and fails if they don't match the media; a
tokenizer turns `<|im_end|>` into one special token. In the texts of a conversation `<image>` is removed; every other
such word gets a space after its first character, so that it stays readable and is ordinary text to every tokenizer.
"""

import re

PLACEHOLDER = "<image>"  # stands for the image of a conversation
# LLaVA, LLaMA-Factory (data/mm_plugin), ms-swift (template/base), Qwen2-VL, InternVL, Llama and Gemma.
WORDS = (
    "<image>", "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>", "<img>", "</img>", "<IMG_CONTEXT>",
    "<im_start>", "<im_end>", "<im_patch>", "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<start_of_turn>",
    "<end_of_turn>", "<start_of_image>", "<image_soft_token>", "<box>", "</box>", "<ref>", "</ref>",
    "<quad>", "</quad>", "[INST]", "[/INST]", "[IMG]", "<<SYS>>", "<</SYS>>",
)  # fmt: skip
ACTING = re.compile("|".join([r"<\|[^<>|\s]{1,40}\|>", r"<｜[^<>\s]{1,40}｜>", *map(re.escape, WORDS)]))


def harmless(text: str) -> str:
    """Return the text with such words neutralised: `<image>` is removed, `<video>` becomes `< video>`. Idempotent."""
    return ACTING.sub(lambda match: f"{match[0][0]} {match[0][1:]}", without(PLACEHOLDER, text))


def without(mark: str, text: str) -> str:
    """Return the text without `mark`, also where removing one would form another: one pass removes nested marks too."""
    if mark not in text:
        return text
    kept: list[str] = []
    for letter in text:
        kept.append(letter)
        if letter == mark[-1] and "".join(kept[-len(mark) :]) == mark:
            del kept[-len(mark) :]
    return "".join(kept)
