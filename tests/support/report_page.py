"""The report of a run of hostile rows, and the page of a report as it is open in a browser."""

from pathlib import Path
from typing import Any

from benchmarks.hostile.words import TEXTS
from oasis_ray.recipe.row import Row
from oasis_ray.report.build import make
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture

SECTIONS = (
    "funnel", "scores", "lengths", "languages", "verbs", "duplicates", "defects", "overlaps", "pictures", "origins",
    "cost", "gallery",
)  # fmt: skip
WRITABLE = [text for text in TEXTS if "\ud800" not in text]
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}


def hostile_page(folder: Path) -> Path:
    """The report of a run whose every text is hostile: ids, origins, instructions, responses, details."""
    run, rows = RunFolder(folder / "</title><script>alert(1)<", write_job(folder)), list[Row]()
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


class OpenedPage:
    """The page in a browser, and everything that should not have happened in it."""

    def __init__(self, browser: Any, page: Path, **options: Any) -> None:
        self.page, self.wrong = browser.new_context(**options).new_page(), list[str]()
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

    def check(self, name: str, artifacts: Path) -> None:
        """Everything is drawn, nothing is wider than the screen, and nothing happened that should not."""
        self.read_to_the_end()
        assert self.wrong == []
        sections = self.page.evaluate("[...document.querySelectorAll('main > section')].map((one) => one.id)")
        assert tuple(sections) == SECTIONS
        assert self.page.evaluate("[...document.querySelectorAll('.plot')].every((one) => one.querySelector('svg'))")
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.page.viewport_size["width"]
        for section in SECTIONS:
            self.page.locator(f"#{section}").screenshot(path=artifacts / f"report-{name}-{section}.png")
