"""Chat template: the conversation format of a model, with its image placeholder and stop tokens, from its folder.

The template is rendered once, with a marker in place of the user's text. The part before the marker opens a user turn
(it is the whole prompt of the hook); the part after it closes the turn and opens the assistant's. No positions are
assumed, so the template of any model family renders correctly or is rejected with a reason.

The text of a request is never rendered by the template: it is tokenized separately, with special tokens disabled.
So `<|im_end|>` inside an instruction is just these ten characters, and can't end a turn. The same holds for added
tokens that a tokenizer does not mark as special (`<tool_call>`, `<think>`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from oasis_ray.engine.banned_tokens import emoji_ids, special_ids
from oasis_ray.errors import RunError
from oasis_ray.types import Request, Sampling

MARKER = "\u2063oasis\u2063"  # with invisible separators, so that no template and no user text contains it
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Turn:
    """The template's parts of a user turn, before and after the text, in token ids."""

    opening: list[int]
    closing: list[int]


class Chat:
    """The chat template of one model, with its tokenizer."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        template: str | None = None,
        image_token: str | None = None,
        eos: tuple[int, ...] = (),
        switches: Mapping[str, Any] = NONE,
    ) -> None:
        self.tokenizer, self.image_token, self._eos, self._switches = tokenizer, image_token, eos, switches
        self._template = template or tokenizer.chat_template
        if not self._template:
            raise RunError(f"the tokenizer of {tokenizer.name_or_path} has no chat template; is it an instruct model?")
        for name in switches:
            if not re.search(rf"\b{re.escape(name)}\b", self._template):
                raise RunError(
                    f"the chat template of {tokenizer.name_or_path} has no switch {name!r} (pools.*.template); "
                    "its model card names those that it has"
                )

    @classmethod
    def load(cls, model: str, revision: str | None = None, switches: Mapping[str, Any] = NONE) -> "Chat":
        """Load the template from a model folder or the hub. Raises RunError if there is none, or not such a switch."""
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig

        # By default, transformers asks on a terminal whether to run code that comes with a model.
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
            switches=switches,
        )

    @cached_property
    def plain(self) -> Turn:
        """The user turn without an image."""
        opening, closing = self._render(MARKER)
        return Turn(self._special(opening), self._special(closing))

    @cached_property
    def with_image(self) -> Turn:
        """The user turn that begins with an image. Raises RunError if the model has no images, or another position."""
        if self.image_token is None:
            raise RunError(f"{self.tokenizer.name_or_path} does not accept images (its config has no image_token_id)")
        opening, closing = self._render([{"type": "image"}, {"type": "text", "text": MARKER}])
        count = opening.count(self.image_token)
        if count != 1 or self.image_token in closing:
            raise RunError(
                f"the chat template of {self.tokenizer.name_or_path} writes {count} image placeholders "
                f"{self.image_token!r} before the user's text, not one"
            )
        return Turn(self._special(opening), self._special(closing))

    def _render(self, content: Any) -> tuple[str, str]:
        rendered = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=True,
            **self._switches,
        )
        opening, marker, closing = rendered.partition(MARKER)
        if not marker:
            raise RunError(f"the chat template of {self.tokenizer.name_or_path} omits the user's text")
        return opening, closing

    def ids(self, request: Request) -> list[int]:
        """Return the token ids of the prompt. The image is one placeholder token, which the engine expands.

        For the speaker "user" the prompt ends with the text of the request, or right after the image without a text.
        """
        turn = self.with_image if request.images else self.plain
        ids = turn.opening + self._words(request.text)
        return ids if request.speaker == "user" else ids + turn.closing

    @cached_property
    def stop_ids(self) -> list[int]:
        """Tokens that end a turn: those of the model, and the one with which its template closes a user turn."""
        closing = [token for token in self.plain.closing[:1] if token in self.tokenizer.all_special_ids]
        own = self.tokenizer.eos_token_id
        return sorted({*self._eos, *closing, *([own] if own is not None else [])})

    def banned_ids(self, sampling: Sampling) -> list[int]:
        """Return the tokens that `sampling.ban` excludes, except those that end a turn."""
        banned: set[int] = set().union(*(self._banned[kind] for kind in sampling.ban))
        return sorted(banned - set(self.stop_ids))

    def escaped(self, text: str) -> str:
        """Break special tokens in a text by a zero-width space, for servers that tokenize themselves."""
        for token in sorted({*self.tokenizer.all_special_tokens, *self._markup.values()}, key=len, reverse=True):
            text = text.replace(token, token[0] + "\u200b" + token[1:])
        return text

    @cached_property
    def _banned(self) -> Mapping[str, frozenset[int]]:
        return {"special": special_ids(self.tokenizer), "emoji": emoji_ids(self.tokenizer)}

    @cached_property
    def _markup(self) -> dict[int, str]:
        """Added tokens that look like markup. Others (runs of spaces in some vocabularies) are plain text."""
        added = {index: token.content for index, token in self.tokenizer.added_tokens_decoder.items()}
        return {index: text for index, text in added.items() if len(text) > 1 and text[0] in "<["}

    def _special(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _words(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = []
        for index in self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]:
            token = self._markup.get(index)  # not split by `split_special_tokens`, as it is not marked as special
            ids += [index] if token is None else self._words(token[0]) + self._words(token[1:])
        return ids


def _processor_template(model: str, revision: str | None) -> str | None:
    """Return the template of a multimodal processor, which some models store in a file of its own."""
    import json

    from transformers.utils import cached_file

    for name in ("chat_template.jinja", "chat_template.json"):
        path = cached_file(model, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        if path:
            text = Path(path).read_text(encoding="utf-8")
            return json.loads(text)["chat_template"] if name.endswith("json") else text
    return None
