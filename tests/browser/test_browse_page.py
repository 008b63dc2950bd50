"""Page of `browse` in a real browser: its use, and that hostile rows do not affect it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture

NASTY = (
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>\"'`</p></body>"
    "<style>*{display:none}</style><meta http-equiv=refresh content=0;url=http://evil.example>"
)
IDS = ["../../etc/passwd", "' OR 1=1 --", '"><script>alert(2)</script>', "a/b?c&d#e%00"]
LATIN = "What is written on the sign at the left of the picture, and which colour has the bar beside it?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of 250 plain rows and a few that are hostile in every text."""
    folder = tmp_path_factory.mktemp("page")
    made = RunFolder(folder / "my run", write_job(folder))
    plain = [accepted(f"plain-{n:03d}", text=LATIN, image=picture(size=(400, 300))) for n in range(150)]
    hostile = [accepted(name, text=NASTY, answer=NASTY, image=picture()) for name in IDS]
    made.part("1", *plain, *hostile, caption("c<b>1", text=NASTY))
    made.part("2", *(rejected(f"no-{n:02d}", ("clarity", "nonsense")[n % 2], 1 + n % 3, text=LATIN) for n in range(30)))
    made.part(
        "3",
        rejected("no<i>", text=NASTY),
        failed("f", NASTY),
        accepted("svg", text=NASTY, image=b"<svg onload=alert(1)>"),
    )
    return made


@pytest.fixture(scope="module")
def address(run: RunFolder) -> Iterator[str]:
    """Address that `oasis-ray browse` prints."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "oasis_ray.cli", "browse", str(run.path), "--who", "ada"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert serving.stdout is not None
    yield serving.stdout.readline().removeprefix("open ").strip()
    serving.terminate()
    serving.wait(30)


class Page:
    """Open page, with a record of everything in it that should not have happened."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", lambda said: self.wrong.append(f"{said.type}: {said.text}"))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.own = address.split("/?")[0]
        self.page.goto(address)
        self.page.wait_for_selector("#list button")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.own + "/", "data:,")):
            self.wrong.append(f"asked for {url}")

    def wait(self, script: str) -> None:
        """Wait until the script returns true. (Playwright's wait_for_function needs `eval`: the policy forbids it.)"""
        self.until(lambda: self.page.evaluate(script), script)

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds, for up to two minutes: a disk may take that long for one mark."""
        deadline = time.monotonic() + 120
        while not happened():
            if time.monotonic() > deadline:
                state = self.page.evaluate(
                    "[document.activeElement.outerHTML.slice(0, 99), at, whole?.id, asked, loading, marked,"
                    " document.body.innerText]"
                )
                raise AssertionError(f"timeout: {what}; {self.wrong}; {state}")
            self.page.wait_for_timeout(20)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def shown(self) -> str:
        return str(self.page.inner_text("article .id"))

    def pick(self, outcome: str) -> None:
        self.page.click(f"#outcomes button:has-text('{outcome}')")
        self.wait(f"document.querySelector('#outcomes [aria-pressed=true]').textContent.startsWith('{outcome}')")
        self.wait("/^[0-9]+ rows?$/.test(document.querySelector('#count').textContent)")


@pytest.fixture
def opened(browser: Any, address: str, run: RunFolder) -> Iterator[Page]:
    """The page of the run, of which no row is marked yet."""
    (run.path / "marks.jsonl").unlink(missing_ok=True)
    page = Page(browser, address, viewport={"width": 1360, "height": 860})
    yield page
    page.context.close()


def marks(run: RunFolder) -> list[tuple[str, str | None]]:
    file = run.path / "marks.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(one["id"], one["mark"]) for one in map(json.loads, lines)]


def test_rows_are_filtered_read_and_marked_by_keys(opened: Page, run: RunFolder, artifacts: Path) -> None:
    page = opened.page
    assert page.url.split("#")[0] == opened.own + "/"  # the token does not stay in the address
    opened.pick("rejected")
    page.select_option("#node", "clarity")
    opened.wait("document.querySelector('#count').textContent === '16 rows'")
    page.select_option("#axis", "clarity")
    page.fill("#least", "2")
    page.press("#least", "Enter")
    opened.wait("document.querySelector('#count').textContent === '10 rows'")
    opened.wait("document.querySelector('article .id')?.textContent === 'no-02'")
    before = len(marks(run))
    opened.press("j")
    opened.wait("document.querySelector('article .id').textContent === 'no-04'")
    opened.press("g")
    opened.wait("document.querySelector('#list [aria-current] .marked.good')")
    opened.press("ArrowUp")
    opened.wait("document.querySelector('article .id').textContent === 'no-02'")
    opened.press("b")
    opened.wait("document.querySelector('#bad').ariaPressed === 'true'")
    page.screenshot(path=artifacts / "browse-marked.png")
    opened.press("u")
    opened.wait("document.querySelector('#bad').ariaPressed === 'false'")
    assert marks(run)[before:] == [("no-04", "good"), ("no-02", "bad"), ("no-02", None)]
    page.reload()  # comes back to where it was
    opened.wait("document.querySelector('#count').textContent === '10 rows'")
    opened.wait("document.querySelector('article .id')?.textContent === 'no-02'")
    assert page.locator("#list .marked").all_inner_texts() == ["good"]
    opened.press("/")
    page.keyboard.type("nothing says this")
    opened.press("Enter")
    opened.wait("document.querySelector('#count').textContent === '0 rows'")
    page.click("#clear")
    opened.wait("document.querySelector('#count').textContent === '188 rows'")
    assert opened.wrong == []


def test_a_row_shows_its_moves_and_its_record_has_a_colour(opened: Page) -> None:
    page = opened.page
    picked = page.locator("#outcomes button").all_inner_texts()
    assert [text.rstrip("0123456789") for text in picked] == ["all", "accepted", "captions", "rejected", "failed"]
    opened.pick("captions")
    opened.wait("document.querySelector('article .id')?.textContent === 'c<b>1'")
    moves = page.locator("article section:has(h2:text-is('Moves')) .words").inner_text()
    assert moves == "moved to route caption at categorize: caption\nKind: caption"
    assert page.evaluate("getComputedStyle(document.querySelector('article .outcome')).color") == "rgb(44, 100, 181)"
    names = ["accepted", "a", "b", "c", "d", "e", "rejected", "failed"]
    page.evaluate(f"run.outcomes = {names}")
    tones = ["accepted", "record-1", "record-2", "record-3", "record-4", "record-1", "rejected", "failed"]
    assert page.evaluate("run.outcomes.map(tone)") == tones
    opened.press("v")
    assert page.is_hidden("article h2:text-is('Moves')")
    assert opened.wrong == []


def test_scores_are_shown_on_the_scale_of_their_judge_and_found_between_decimals(opened: Page) -> None:
    page = opened.page
    opened.pick("rejected")
    page.select_option("#axis", "clarity")
    page.fill("#least", "1.5")
    page.press("#least", "Enter")
    opened.wait("document.querySelector('#count').textContent === '10 rows'")
    opened.wait("location.hash === '#outcome=rejected&axis=clarity&least=1.5&id=no-02'")
    assert page.locator("article .verdicts td").first.inner_text() == "3"
    page.evaluate("Object.assign(run.scales, {ten: [1, 10], none: [0, 10], long: [0, 100]})")
    dots = page.evaluate(
        """[["clarity", 3], ["unknown", 5], ["unknown", 6], ["ten", 7], ["ten", 11], ["none", 0], ["long", 7],
        ["ten", 0.5]].map(([node, score]) => scale(node, score)?.children ?? [])
        .map((dots) => [...dots].map((dot) => dot.className ? "#" : "-").join(""))"""
    )
    assert dots == ["###--", "#####", "", "#######---", "", "#----------", "", ""]
    figures = page.evaluate("[5, -3, 0.1 + 0.2, 1 / 3, 1e-9, 12345.678, 4444444].map(rounded)")
    assert figures == ["5", "-3", "0.3", "0.3333", "1e-9", "12346", "4444444"]
    judged = page.evaluate(
        """[...judges([["a", {probability: 0.8376, reply: "Yes"}], ["b[1]", {score: null, probability: 1}],
        ["c", {score: 4, probability: 0.5}]]).rows]
        .map((row) => [row.cells[1].textContent, row.querySelectorAll("i").length])"""
    )
    assert judged == [["0.838", 0], ["1.000", 0], ["4", 5]]  # a probability has no dots, also where it is 1
    assert opened.wrong == []


def test_a_mark_never_goes_to_the_row_that_was_shown_before(opened: Page, run: RunFolder) -> None:
    before = marks(run)
    opened.page.evaluate(
        """() => { const k = (key) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
                  k('j'); k('b'); k('j'); k('g') }"""
    )
    there = "document.getElementById('row').ariaBusy === 'false' && !document.getElementById('good').disabled"
    opened.wait(there)
    assert marks(run) == before  # the rows were not loaded yet, so neither was marked
    opened.press("b")
    opened.wait("document.getElementById('bad').ariaPressed === 'true'")
    assert marks(run) == [*before, (opened.shown(), "bad")]


def until(opened: Page, requests: list[Any], count: int) -> None:
    """Wait until a route has held back this many requests."""
    opened.until(lambda: len(requests) >= count, f"request {count} of {requests}")


def test_a_late_list_does_not_hide_a_mark_that_was_saved_meanwhile(opened: Page, run: RunFolder) -> None:
    page, answers = opened.page, list[tuple[Any, Any]]()
    opened.pick("captions")
    opened.wait("document.querySelector('article .id')?.textContent === 'c<b>1'")
    page.route(re.compile("/api/rows?[?]"), lambda route: answers.append((route, route.fetch())))
    opened.press("r")
    until(opened, answers, 1)  # the server has answered, and the page has not heard it
    opened.press("g")
    opened.wait("document.querySelector('#list [aria-current] .marked.good')")
    for route, answer in answers[:1]:
        route.fulfill(response=answer)
    until(opened, answers, 2)  # the same with the row, which the page asks for when it has the list
    opened.press("b")
    opened.wait("document.querySelector('#list [aria-current] .marked.bad')")
    for route, answer in answers[1:]:
        route.fulfill(response=answer)
    page.wait_for_timeout(200)
    assert page.locator("#list .marked").all_inner_texts() == ["bad"]
    assert page.get_attribute("#bad", "aria-pressed") == "true"
    assert marks(run)[-2:] == [("c<b>1", "good"), ("c<b>1", "bad")]


def test_the_last_mark_counts_however_late_the_first_is_answered(opened: Page, run: RunFolder) -> None:
    opened.pick("failed")
    opened.wait("document.querySelector('article .id')?.textContent === 'f'")
    sent: list[Any] = []
    opened.page.route("**/api/marks*", lambda route: sent.append(route))
    opened.press("g")
    until(opened, sent, 1)
    opened.press("b")
    opened.page.wait_for_timeout(200)
    assert [request.request.post_data_json["mark"] for request in sent] == ["good"]  # the second waits for the first
    sent[0].continue_()
    until(opened, sent, 2)
    sent[1].continue_()
    opened.wait("document.querySelector('#bad').ariaPressed === 'true'")
    assert marks(run)[-2:] == [("f", "good"), ("f", "bad")]


def test_a_late_search_does_not_replace_the_list_that_was_asked_for_after_it(opened: Page) -> None:
    page, asked = opened.page, list[Any]()
    page.fill("#text", "javascript:ALERT")
    page.route("**/api/run*", lambda route: (asked.append(route), len(asked) != 2 and route.continue_()))
    page.press("#text", "Enter")
    until(opened, asked, 2)  # the list is there; the notes on the search are late
    page.click("#clear")
    opened.wait("document.querySelector('#count').textContent === '188 rows'")
    asked[1].continue_()
    page.wait_for_timeout(300)
    assert page.inner_text("#count") == "188 rows"
    assert page.locator("#list li").count() == 100


def test_more_rows_are_loaded_as_the_list_is_read(opened: Page) -> None:
    opened.pick("accepted")
    for _ in range(130):
        opened.press("j")
    opened.wait("document.querySelectorAll('#list li').length === 155")
    assert opened.wrong == []


def test_hostile_rows_are_shown_as_they_are_and_do_nothing(opened: Page, run: RunFolder, artifacts: Path) -> None:
    page = opened.page
    page.fill("#text", "javascript:ALERT")
    page.press("#text", "Enter")
    opened.wait("document.querySelector('#count').textContent === '7 rows'")
    names = page.evaluate("rows.map((row) => row.id)")
    assert sorted(names) == sorted([*IDS, "c<b>1", "no<i>", "svg"])
    for place, name in enumerate(names):
        opened.wait(f"document.querySelector('article .id')?.textContent === {json.dumps(name)}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.inner_text("article .words >> nth=0") == (NASTY if name != "c<b>1" else "Describe the picture.")
        opened.press("g")
        opened.wait(f"document.querySelectorAll('#list .marked').length === {place + 1}")
        if name == IDS[2]:
            page.screenshot(path=artifacts / "browse-hostile.png")
        opened.press("j")
    page.click("#clear")
    opened.pick("failed")
    opened.wait("document.querySelector('article .id')?.textContent === 'f'")
    elements = (
        "[...document.querySelectorAll('script, style, meta, a, iframe, object')].map((one) => one.outerHTML.length)"
    )
    assert len(page.evaluate(elements)) == 5  # the page's own three metas and two scripts
    refused = "error: Failed to load resource: the server responded with a status of 415 (Unsupported Media Type)"
    assert [text for text in opened.wrong if text != refused] == []
    assert {name for name, mark in marks(run) if mark == "good"} >= set(names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1360, 860), (390, 844)], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_screen(
    browser: Any, address: str, artifacts: Path, scheme: str, width: int, height: int
) -> None:
    opened = Page(browser, address, viewport={"width": width, "height": height}, color_scheme=scheme)
    page = opened.page
    page.screenshot(path=artifacts / f"browse-{scheme}-{width}-list.png")
    page.click("#list button >> nth=3")
    opened.wait("document.querySelector('article img')?.complete")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.screenshot(path=artifacts / f"browse-{scheme}-{width}-row.png")
    wide = (
        "[...document.querySelectorAll('body, main, nav, article')].filter((one) => one.scrollWidth > one.clientWidth)"
    )
    assert page.evaluate(f"{wide}.map((one) => one.tagName)") == []
    back = page.locator("#back")
    if width < 700:
        assert page.is_hidden("nav")
        back.click()
        assert page.is_visible("nav")
    else:
        assert back.is_hidden()
    assert opened.wrong == []
    opened.context.close()
