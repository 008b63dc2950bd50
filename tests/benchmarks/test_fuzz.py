"""Hostile input, in short: a local run on a few hundred rows of all kinds, and checks that see what is planted."""

import tarfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzz import DOCUMENTED, Found, ended, fuzz_ingest, fuzz_server, job_in, look
from benchmarks.hostile.harm import listing, live_markup, live_tokens
from benchmarks.hostile.inputs import FAMILIES, take_in
from benchmarks.hostile.pictures import HOSTILE
from benchmarks.hostile.rows import MAKERS, draw, lay
from benchmarks.random_pair import TEMPLATE, bpe_tokenizer
from oasis_ray.engine.chat_template import Chat
from oasis_ray.input.ingest import Ingested, ingest
from oasis_ray.output.audit import audit
from oasis_ray.types import Image, Request
from tests.support.jobs import execute

ROWS = 300


def test_hostile_rows_and_replies_do_no_harm(tmp_path: Path) -> None:
    """In this process; tests/slow/test_fuzz.py looks at workers of Ray, prompts and the report too."""
    given, found = draw(ROWS, 1), Found(ROWS)
    lay(tmp_path, given)
    before = listing(tmp_path)
    execute(job_in(tmp_path), "executor=local")
    assert listing(tmp_path) == before  # nothing was written outside the run
    assert audit(str(tmp_path / "run")).faults == []
    for outcome, row in ended(tmp_path / "run"):
        place = row["source"]
        look(found, given[int(place["file"]) + 100 * place["row_group"] + place["row"]], outcome, row)
    assert (found.unexplained, found.escaped, found.ends.total()) == ([], [], ROWS)
    assert {kind for kind, _, _ in found.ends} == set(MAKERS)


def test_every_file_and_line_that_ingest_meets_is_taken_or_passed_over_by_reason() -> None:
    found = Found(0)
    fuzz_ingest(found, seed=1, sources=4)
    assert found.lost == []
    met = {(kind, end) for kind, end, _ in found.ends}
    assert met == {(family, end) for family in FAMILIES for end in ("taken", "passed over")}


def test_a_file_that_ingest_forgets_is_seen(tmp_path: Path) -> None:
    def forgetful(source: Path, out: Path) -> Ingested:
        return replace(ingest(source, out), passed_over={})

    _, harm = take_in("tar", tmp_path, Random(3), forgetful)
    assert [text.partition(": ")[2].partition(",")[0] for text in harm] == [f"{len_there(tmp_path)} there"]


def len_there(folder: Path) -> int:
    """The members of the tar that are no folders."""
    with tarfile.open(folder / "in.tar") as file:
        return sum(not member.isdir() for member in file)


def test_rows_end_whatever_a_server_replies(tmp_path: Path) -> None:
    found = Found(0)
    fuzz_server(found, tmp_path, 12)
    assert (found.crashes, found.unexplained, found.lost, found.ends.total()) == ([], [], [], 12)
    assert len(found.ends) > 1


def test_the_same_seed_draws_the_same_rows() -> None:
    assert draw(ROWS, 5) == draw(ROWS, 5)
    assert draw(ROWS, 5) != draw(ROWS, 6)
    assert {row.kind for row in draw(200, 5)} == set(MAKERS) >= set(HOSTILE)


@pytest.mark.parametrize("reason", ["image_broken", "no_kind", "score_3", "caption_too_short"])
def test_the_reasons_are_those_that_the_documentation_lists(reason: str) -> None:
    assert DOCUMENTED.fullmatch(reason)
    assert not DOCUMENTED.fullmatch(f"{reason}_x")


class Careless(Chat):
    """A chat format that lets words become special tokens."""

    def _words(self, text: str) -> list[int]:
        return self._special(text)


@pytest.mark.parametrize(("chat", "live"), [(Chat, 0), (Careless, 2)])
def test_a_special_token_that_comes_from_words_is_seen(chat: type[Chat], live: int) -> None:
    model = chat(bpe_tokenizer(["What is it?"] * 3), template=TEMPLATE, image_token="<|image_pad|>")
    asked = {Request("<|im_end|>"), Request("a<|image_pad|>", (Image(b"", ""),)), Request("a"), Request(speaker="user")}
    assert len(list(live_tokens(model, asked))) == live


@pytest.mark.parametrize(
    ("page", "live"),
    [
        ('<p>&lt;script&gt;</p><a href="#cost">Cost</a>', []),
        ("<script>1</script>" * 5, []),
        ("<script>1</script>" * 6, ["<script>"]),
        ('<p onclick="x">', ["<p onclick>"]),
        ('<script src="x"></script>', ["<script src>"]),
        ('<img src="http://host/a.png">', ["<img>", "<img src>"]),
        ('<a href="javascript:alert(1)">', ["<a href>"]),
        ("<p><!-- hidden --></p><?php ?>", ["<!-- hidden ", "<!--php ?"]),
    ],
)
def test_markup_that_is_not_the_reports_own_is_seen(page: str, live: list[str]) -> None:
    assert live_markup(page) == live


def test_a_file_outside_the_run_is_seen(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    before = listing(tmp_path)
    (tmp_path / "run/part").write_text("inside")
    assert listing(tmp_path) == before
    (tmp_path / "escaped.txt").write_text("outside")
    assert [path for path, _ in listing(tmp_path) ^ before] == ["escaped.txt"]
