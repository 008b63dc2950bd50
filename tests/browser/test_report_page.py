"""The report's page in a real browser: what a person does with it, and that hostile rows do nothing to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hostile.words import TEXTS
from oasis_ray.report.make import make
from oasis_ray.schema import Ended
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture

SECTIONS = (
    "funnel", "scores", "lengths", "languages", "verbs", "duplicates", "defects", "overlaps", "pictures", "origins",
    "cost", "gallery",
)  # fmt: skip
WRITABLE = [text for text in TEXTS if "\ud800" not in text]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    """The report of a run whose every text is hostile: ids, origins, instructions, responses, details."""
    folder = tmp_path_factory.mktemp("hostile")
    run, rows = RunFolder(folder / "</title><script>alert(1)<", write_job(folder)), list[Ended]()
    for at, text in enumerate(WRITABLE):
        image = b"<svg onload=alert(1)>" if at % 7 == 0 else picture(("red", "blue", "green")[at % 3])
        rows += [
            accepted(f"{at}{text}", text=text, answer=WRITABLE[-at], image=image, origin=text),
            accepted(f"plain-{at}", text="Describe the chart in detail.", image=picture()),
            caption(f"c{at}{text}", text=text),
            rejected(f"r{at}{text}", value=1 + at % 4, text=text, origin=WRITABLE[-at]),
            failed(f"f{at}{text}", "image_broken", text=text),
        ]
    run.part("one", *rows)
    (folder / "exam<b>.txt").write_text("\n".join(WRITABLE), encoding="utf-8", errors="replace")
    out, _ = make([str(run.path)], benchmarks=[folder / "exam<b>.txt"])
    return Path(out) / "index.html"


class Opened:
    """The page in a browser, and everything that should not have happened in it."""

    def __init__(self, browser: Any, page: Path, **options: Any) -> None:
        self.page, self.wrong = browser.new_context(**options).new_page(), []
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", lambda said: self.wrong.append(f"{said.type}: {said.text}"))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.goto(page.as_uri())

    def _asked(self, url: str) -> None:
        if not url.startswith("data:") and not url.endswith("/index.html"):
            self.wrong.append(f"asked for {url}")

    def read_to_the_end(self) -> None:
        """Come past every section, as plots are drawn when they come into view."""
        for at in range(0, self.page.evaluate("document.documentElement.scrollHeight"), 600):
            self.page.evaluate(f"scrollTo(0, {at})")
            self.page.wait_for_timeout(60)


@pytest.fixture
def look(browser: Any, page: Path) -> Iterator[Any]:
    opened: list[Opened] = []

    def at(**options: Any) -> Opened:
        opened.append(Opened(browser, page, **options))
        return opened[-1]

    yield at
    for one in opened:
        one.page.context.close()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}}),
        ("dark", {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}}),
        ("phone", {"color_scheme": "light", "viewport": {"width": 390, "height": 844}}),
    ],
)
def test_hostile_rows_do_nothing_to_the_page(name: str, options: Any, look: Any, artifacts: Path) -> None:
    opened = look(**options)
    opened.read_to_the_end()
    assert opened.wrong == []
    sections = opened.page.evaluate("[...document.querySelectorAll('main > section')].map((one) => one.id)")
    assert tuple(sections) == SECTIONS
    assert opened.page.evaluate("[...document.querySelectorAll('.plot')].every((one) => one.querySelector('svg'))")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
    for section in SECTIONS:
        opened.page.locator(f"#{section}").screenshot(path=artifacts / f"report-{name}-{section}.png")


def test_rows_are_filtered_searched_and_opened(look: Any, artifacts: Path) -> None:
    opened = look(viewport={"width": 1200, "height": 900})
    page = opened.page
    page.select_option("#fate", "rejected")
    reasons = page.evaluate("[...document.querySelectorAll('#reason option')].map((one) => one.value)")
    assert reasons == ["", "score_1", "score_2", "score_3", "score_4"]
    page.select_option("#reason", "score_2")
    assert page.inner_text("#shown").startswith("8 of ")
    page.select_option("#fate", "")
    page.fill("#search", "DROP TABLE")
    assert page.locator(".card").count() > 0
    page.fill("#search", "plain-")
    page.locator(".card").first.click()
    detail = page.inner_text("#detail")
    assert "Describe the chart in detail." in detail
    assert "clarity wrote" in detail
    assert "Lineage" in detail
    page.locator("#detail").screenshot(path=artifacts / "report-row.png")
    page.keyboard.press("Escape")
    assert not page.is_visible("#detail")
    assert opened.wrong == []


def test_only_the_named_scripts_may_run(look: Any) -> None:
    opened = look()
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 2\">')")
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in told for told in opened.wrong)
