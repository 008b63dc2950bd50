"""A model's own way of writing a conversation: its chat template, image placeholder and stop tokens, from its folder.

The template is rendered once, with a mark where the user's words go. What stands before the mark is the opening of a
user turn (the hook's whole prompt), what stands behind it closes the turn and opens the assistant's. Nothing is
counted from an end, so any template of any family comes out right or is refused with the reason.

The words of a request never pass through the template: they are tokenised apart, with special tokens switched off.
So `<|im_end|>` inside an instruction is just these ten characters, and can't end a turn. The same holds for tokens that
a tokenizer has added without calling them special (`<tool_call>`, `<think>`).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oasis_ray.errors import RunError
from oasis_ray.types import Request, Sampling

MARK = "\u2063oasis\u2063"  # invisible separators: no template and no user writes this
# The first two bytes of pictographs (U+1F000 to U+1FFFF) and of symbols and dingbats (U+2600 to U+27BF) in UTF-8. What
# is written byte by byte, in tokens of one byte, can't be told from other characters beforehand.
EMOJI_STARTS = (b"\xf0\x9f", *(bytes([0xE2, second]) for second in range(0x98, 0x9F)))


@dataclass(frozen=True)
class Turn:
    """A user's turn as the template writes it: what stands before and behind the words, in token ids."""

    opening: list[int]
    closing: list[int]


class Chat:
    """The conversation format of one model."""

    def __init__(
        self, tokenizer: Any, *, template: str | None = None, image_token: str | None = None, eos: tuple[int, ...] = ()
    ) -> None:
        self.tokenizer, self.image_token, self._eos = tokenizer, image_token, eos
        self._template = template or tokenizer.chat_template
        if not self._template:
            raise RunError(f"the tokenizer of {tokenizer.name_or_path} has no chat template; is it an instruct model?")

    @classmethod
    def load(cls, model: str, revision: str | None = None) -> "Chat":
        """Read the format from a model folder or the hub. Raises RunError where it says none."""
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig

        # Left unsaid, transformers asks at a terminal whether to run the code that a model brings.
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
        image_id = getattr(config, "image_token_id", None)
        try:
            eos = GenerationConfig.from_pretrained(model, revision=revision).eos_token_id
        except OSError:
            eos = None
        return cls(
            tokenizer,
            template=_processor_template(model, revision),
            image_token=tokenizer.convert_ids_to_tokens(image_id) if image_id is not None else None,
            eos=(eos,) if isinstance(eos, int) else tuple(eos or ()),
        )

    @cached_property
    def plain(self) -> Turn:
        """A user's turn without an image."""
        opening, closing = self._written(MARK)
        return Turn(self._special(opening), self._special(closing))

    @cached_property
    def pictured(self) -> Turn:
        """A user's turn that begins with an image. Raises RunError where the model takes none, or puts it elsewhere."""
        if self.image_token is None:
            raise RunError(f"{self.tokenizer.name_or_path} takes no images (its config has no image_token_id)")
        opening, closing = self._written([{"type": "image"}, {"type": "text", "text": MARK}])
        count = opening.count(self.image_token)
        if count != 1 or self.image_token in closing:
            raise RunError(
                f"the chat template of {self.tokenizer.name_or_path} writes {count} image placeholders "
                f"{self.image_token!r} before the user's words, not one"
            )
        return Turn(self._special(opening), self._special(closing))

    def _written(self, content: Any) -> tuple[str, str]:
        said = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=True,
        )
        opening, mark, closing = said.partition(MARK)
        if not mark:
            raise RunError(f"the chat template of {self.tokenizer.name_or_path} leaves the user's words out")
        return opening, closing

    def ids(self, request: Request) -> list[int]:
        """The token ids of the prompt; the image is one placeholder token, which the engine widens.

        For the speaker "user" the prompt ends with the request's words: straight after the image where there are none.
        """
        turn = self.pictured if request.images else self.plain
        ids = turn.opening + self._words(request.text)
        return ids if request.speaker == "user" else ids + turn.closing

    @cached_property
    def stop_ids(self) -> list[int]:
        """What ends a turn: the model's own end tokens, and the token its template closes a user's turn with."""
        marks = [token for token in self.plain.closing[:1] if token in self.tokenizer.all_special_ids]
        own = self.tokenizer.eos_token_id
        return sorted({*self._eos, *marks, *([own] if own is not None else [])})

    def banned_ids(self, sampling: Sampling) -> list[int]:
        """The tokens that `sampling.ban` names; never one that ends a turn."""
        kinds = {"special": "_special_ids", "emoji": "_emoji_ids"}
        banned: set[int] = set().union(*(getattr(self, kinds[kind]) for kind in sampling.ban))
        return sorted(banned - set(self.stop_ids))

    def harmless(self, text: str) -> str:
        """The text with its special tokens broken by a zero-width space, for servers that tokenise themselves."""
        for token in sorted({*self.tokenizer.all_special_tokens, *self._marks.values()}, key=len, reverse=True):
            text = text.replace(token, token[0] + "\u200b" + token[1:])
        return text

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset({*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder})

    @cached_property
    def _marks(self) -> dict[int, str]:
        """Added tokens that look like markup. Others (runs of blanks in some vocabularies) are plain text."""
        added = {index: token.content for index, token in self.tokenizer.added_tokens_decoder.items()}
        return {index: mark for index, mark in added.items() if len(mark) > 1 and mark[0] in "<["}

    @cached_property
    def _emoji_ids(self) -> frozenset[int]:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        # A byte-level vocabulary writes each byte as one letter; a token may hold just the beginning of a character.
        byte_of = {letter: bytes([byte]) for byte, letter in bytes_to_unicode().items()}
        found = set()
        for token, index in self.tokenizer.get_vocab().items():
            bytewise = all(letter in byte_of for letter in token)
            data = b"".join(byte_of[letter] for letter in token) if bytewise else token.encode()
            if any(start in data for start in EMOJI_STARTS):
                found.add(index)
        return frozenset(found)

    def _special(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _words(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = []
        for index in self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]:
            mark = self._marks.get(index)  # `split_special_tokens` leaves those whole that are not called special
            ids += [index] if mark is None else self._words(mark[0]) + self._words(mark[1:])
        return ids


def _processor_template(model: str, revision: str | None) -> str | None:
    """The template of a multimodal processor, which some folders keep apart from the tokenizer's."""
    import json

    from transformers.utils import cached_file

    for name in ("chat_template.jinja", "chat_template.json"):
        path = cached_file(model, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        if path:
            text = Path(path).read_text(encoding="utf-8")
            return json.loads(text)["chat_template"] if name.endswith("json") else text
    return None
