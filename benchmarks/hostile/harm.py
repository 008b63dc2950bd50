"""What harm looks like: files that appear outside a run, special tokens of a text in a prompt, markup in a page."""

from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from oasis_ray.chat import Chat
from oasis_ray.rows import Request

# What a contact sheet is made of: its elements, and the attributes that they may have.
ELEMENTS = {"html", "meta", "title", "style", "h1", "p", "main", "figure", "img", "figcaption", "b"}
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "alt", "src"}


def listing(folder: Path) -> set[tuple[str, int]]:
    """Everything in the folder but the run and its job, with when it was last written."""
    inside = (folder / "run", folder / "job.yaml")
    paths = (path for path in folder.rglob("*") if not any(path.is_relative_to(own) for own in inside))
    return {(str(path.relative_to(folder)), path.lstat().st_mtime_ns) for path in paths}


def live_tokens(chat: Chat, asked: set[Request]) -> Iterator[str]:
    """The requests whose prompts hold other special tokens than the template's own."""
    special = {*chat.tokenizer.all_special_ids, *chat.tokenizer.added_tokens_decoder}
    for request in asked:
        tame = Request("What is it?" if request.text else "", request.images, request.speaker)
        ids, own = (Counter(i for i in chat.ids(each) if i in special) for each in (request, tame))
        if ids != own:
            yield f"{request.text[:200]!r}: {chat.tokenizer.convert_ids_to_tokens(list(ids - own))}"


class _Markup(HTMLParser):
    """Collects what a page holds beyond a contact sheet's own elements."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element, with its attributes."""
        if tag not in ELEMENTS:
            self.alive.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES or (name == "src" and not (value or "").startswith("data:image/png;base64,")):
                self.alive.append(f"<{tag} {name}>")

    def handle_comment(self, data: str) -> None:
        """A comment; a sheet has none."""
        self.alive.append(f"<!--{data[:20]}")

    handle_pi = unknown_decl = handle_comment


def live_markup(page: str) -> list[str]:
    """The elements and attributes of a contact sheet that are not its own."""
    parser = _Markup()
    parser.feed(page)
    parser.close()
    return parser.alive
