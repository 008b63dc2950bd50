"""Console for untrusted text: ids, file names, replies of models and servers."""

from typing import Any

from rich.console import Console

# Control characters except newline and tab become Python escapes: in untrusted text they could control the terminal.
VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Terminal(Console):
    """Console that prints text verbatim: markup and escape sequences in it have no effect."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings with their control characters escaped, and other objects as rich does."""
        super().print(*(item.translate(VISIBLE) if isinstance(item, str) else item for item in objects), **options)


out = Terminal(highlight=False, markup=False)
err = Terminal(stderr=True, highlight=False, markup=False)
