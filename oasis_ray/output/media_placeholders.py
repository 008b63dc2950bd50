"""Placeholders and special tokens of trainers: words of a text that would act as media or as the end of a turn.

LLaMA-Factory counts `<image>`, `<video>` and `<audio>` in all turns, and stops where they don't match the media; a
tokenizer makes one special token of `<|im_end|>`. In the turns of a conversation the placeholder of the image itself is
left out of the words; every other such word gets a space behind its first character, so it reads as before and is
ordinary text to every tokenizer.
"""

import re

PLACEHOLDER = "<image>"  # of the image that a conversation is about
# LLaVA, LLaMA-Factory (data/mm_plugin), ms-swift (template/base), Qwen2-VL, InternVL, Llama and Gemma.
WORDS = (
    "<image>", "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>", "<img>", "</img>", "<IMG_CONTEXT>",
    "<im_start>", "<im_end>", "<im_patch>", "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<start_of_turn>",
    "<end_of_turn>", "<start_of_image>", "<image_soft_token>", "<box>", "</box>", "<ref>", "</ref>",
    "<quad>", "</quad>", "[INST]", "[/INST]", "[IMG]", "<<SYS>>", "<</SYS>>",
)  # fmt: skip
ACTING = re.compile("|".join([r"<\|[^<>|\s]{1,40}\|>", r"<｜[^<>\s]{1,40}｜>", *map(re.escape, WORDS)]))


def harmless(text: str) -> str:
    """The text without a word that acts: `<image>` is left out, `<video>` becomes `< video>`. Twice gives the same."""
    return ACTING.sub(lambda found: f"{found[0][0]} {found[0][1:]}", without(PLACEHOLDER, text))


def without(mark: str, text: str) -> str:
    """The text without the mark, also where taking one out would make another: in one pass, however many are nested."""
    if mark not in text:
        return text
    kept: list[str] = []
    for letter in text:
        kept.append(letter)
        if letter == mark[-1] and "".join(kept[-len(mark) :]) == mark:
            del kept[-len(mark) :]
    return "".join(kept)
