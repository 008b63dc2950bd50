"""Banned tokens: the tokens of a vocabulary that `sampling.ban` excludes: special tokens, emoji."""

from typing import Any

# The first UTF-8 bytes of pictographs (U+1F000 to U+1FFFF) and of symbols and dingbats (U+2600 to U+27BF). An emoji
# that a model writes in single-byte tokens can't be recognised in advance.
EMOJI_STARTS = (b"\xf0\x9f", *(bytes([0xE2, second]) for second in range(0x98, 0x9F)))


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Return the special tokens of a tokenizer, and all that were added to its vocabulary."""
    return frozenset({*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder})


def emoji_ids(tokenizer: Any) -> frozenset[int]:
    """Return the tokens with an emoji, or with the first bytes of one."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    # A byte-level vocabulary maps each byte to one letter; a token may be only the beginning of a character.
    byte_of = {letter: bytes([byte]) for byte, letter in bytes_to_unicode().items()}
    emoji = set()
    for token, index in tokenizer.get_vocab().items():
        bytewise = all(letter in byte_of for letter in token)
        data = b"".join(byte_of[letter] for letter in token) if bytewise else token.encode()
        if any(start in data for start in EMOJI_STARTS):
            emoji.add(index)
    return frozenset(emoji)
