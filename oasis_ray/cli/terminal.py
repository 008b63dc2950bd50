"""The terminal, for texts that may hold anything: ids, file names, what models and servers say."""

from typing import Any

from rich.console import Console

# Control characters but line ends and tabs, as they are written in Python: in data they could drive the terminal.
VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Terminal(Console):
    """Prints texts as they are: neither markup nor an escape sequence in an id or a file's name does anything."""

    def print(self, *things: Any, **options: Any) -> None:
        """Print texts with their control characters shown, and anything else as rich does."""
        super().print(*(thing.translate(VISIBLE) if isinstance(thing, str) else thing for thing in things), **options)


out = Terminal(highlight=False, markup=False)
err = Terminal(stderr=True, highlight=False, markup=False)
