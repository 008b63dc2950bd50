"""What harm looks like: lost workers, files outside a run, special tokens of a text in a prompt, markup in a page."""

from collections import Counter
from collections.abc import Container, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ray
from ray.util.state import list_actors

from oasis_ray.engine.chat_template import Chat
from oasis_ray.types import Request

# What a report is made of: its elements, and the attributes that they may have.
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "p", "h1", "h2"),
    *(
        "a",
        "dl",
        "div",
        "dt",
        "dd",
        "figure",
        "figcaption",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
    ),
    *("td", "label", "select", "input", "output", "button", "dialog", "form", "code", "script"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "id", "class", "href", "aria-label", "aria-live", "role"),
    *("data-figure", "style", "open", "scope", "type", "placeholder", "hidden", "method"),
}
SCRIPTS = 5  # three that hold data, two that run


def actors() -> list[Any]:
    """All actors of the cluster, also those that have ended."""
    here = ray.get_runtime_context().gcs_address  # there may be other clusters on this machine
    return list(list_actors(here, limit=10_000, detail=True, raise_on_missing_output=False))


def lost_workers(known: Container[str]) -> Iterator[str]:
    """The workers and engines, not in `known`, that did not live to the end of their run: what is lost is started anew,
    a worker as the same actor, an engine as another one of its application.
    """
    engines: Counter[str] = Counter()
    for actor in actors():
        if actor.actor_id in known:
            continue
        if actor.class_name.startswith("ServeReplica:"):
            engines[actor.class_name] += 1
        elif actor.class_name.startswith("MapWorker(") and actor.num_restarts:
            yield f"{actor.class_name} was lost {actor.num_restarts} times"
    yield from (f"{name} was lost {count - 1} times" for name, count in engines.items() if count > 1)


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
    """Collects what a page holds beyond a report's own elements."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[str] = []
        self._scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element, with its attributes."""
        self._scripts += tag == "script"
        if tag not in ELEMENTS or self._scripts > SCRIPTS:
            self.alive.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES or (name == "href" and not (value or "").startswith("#")):
                self.alive.append(f"<{tag} {name}>")

    def handle_comment(self, data: str) -> None:
        """A comment; a report has none."""
        self.alive.append(f"<!--{data[:20]}")

    handle_pi = unknown_decl = handle_comment


def live_markup(page: str) -> list[str]:
    """The elements and attributes of a report that are not its own."""
    parser = _Markup()
    parser.feed(page)
    parser.close()
    return parser.alive
