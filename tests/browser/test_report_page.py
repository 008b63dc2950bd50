"""Page of the report in a real browser: its use, and that hostile rows do not affect it.

One page, on a desktop and in light mode; the others are in `tests/slow/test_report_page_variants.py`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.report.build import make
from tests.support.report_page import DESKTOP, OpenedPage, hostile_page


@pytest.fixture(scope="module")
def shared(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedPage]:
    page = OpenedPage(browser, hostile_page(tmp_path_factory.mktemp("hostile")), color_scheme="light", viewport=DESKTOP)
    yield page
    page.page.context.close()


@pytest.fixture
def opened(shared: OpenedPage) -> Iterator[OpenedPage]:
    """The one page. The first test also covers what happened while it was loaded."""
    yield shared
    shared.wrong.clear()


def test_hostile_rows_do_nothing_to_the_page(opened: OpenedPage, artifacts: Path) -> None:
    opened.check("light", artifacts)


def test_rows_are_filtered_searched_and_opened(opened: OpenedPage, artifacts: Path) -> None:
    page = opened.page
    page.select_option("#outcome", "rejected")
    reasons = page.evaluate("[...document.querySelectorAll('#reason option')].map((one) => one.value)")
    assert reasons == ["", "score_1", "score_2", "score_3", "score_4"]
    page.select_option("#reason", "score_2")
    assert page.inner_text("#shown").startswith("8 of ")
    page.select_option("#outcome", "")
    page.fill("#search", "DROP TABLE")
    assert page.locator(".card").count() > 0
    page.fill("#search", "plain-")
    page.locator(".card").first.click()
    detail = page.inner_text("#detail")
    assert "Describe the chart in detail." in detail
    assert "Output of clarity" in detail
    assert "Lineage" in detail
    assert "nonsense 5 · hallucination 5 · solvability 5 · clarity 5" in detail
    assert page.evaluate("[5, 0.1 + 0.2, -1 / 3, 12345.678, 1e-9].map(rounded)") == [5, 0.3, -0.3333, 12346, 1e-9]
    page.locator("#detail").screenshot(path=artifacts / "report-row.png")
    page.keyboard.press("Escape")
    assert not page.is_visible("#detail")
    assert opened.wrong == []


def test_a_row_shows_all_exchanges_of_its_conversation(browser: Any, tmp_path: Path) -> None:
    said = [
        ("human", "Who?"),
        ("gpt", "<b>Ada</b>"),
        ("human", "When?"),
        ("gpt", "1843"),
        ("human", "Why?"),
        ("gpt", "So"),
    ]
    item = {"id": "a", "conversations": [{"from": who, "value": text} for who, text in said]}
    (tmp_path / "talk.json").write_text(json.dumps([item, {"id": "b", "conversations": item["conversations"][:2]}]))
    folder, _ = make([str(tmp_path / "talk.json")], str(tmp_path / "out"))
    opened = OpenedPage(browser, Path(folder) / "index.html", viewport=DESKTOP)
    shown = []
    for at in range(2):
        opened.page.locator(".card").nth(at).click()
        texts = opened.page.locator("#row")
        shown.append([texts.locator(tag).all_inner_texts() for tag in ("h3", "pre")])
        opened.page.keyboard.press("Escape")
    opened.page.context.close()
    heads = [f"{head}{number}" for number in ("", " 2", " 3") for head in ("Instruction", "Response")]
    assert shown == [[heads, [text for _, text in said]], [heads[:2], ["Who?", "<b>Ada</b>"]]]
    assert opened.wrong == []


def test_an_outcome_has_one_colour_in_the_summary_and_in_the_gallery(opened: OpenedPage) -> None:
    colours = {
        "accepted": "rgb(0, 158, 115)", "captions": "rgb(58, 155, 214)", "rejected": "rgb(217, 139, 0)",
        "failed": "rgb(213, 94, 0)",
    }  # fmt: skip
    page, cards = opened.page, {}
    border = "(found) => found.map((one) => getComputedStyle(one).borderTopColor)"
    assert page.eval_on_selector_all(".outcomes div", border) == list(colours.values())
    page.fill("#search", "")
    for outcome in colours:
        page.select_option("#outcome", outcome)
        cards[outcome] = set(page.eval_on_selector_all(".card", border))
    page.select_option("#outcome", "")
    assert cards == {outcome: {colour} for outcome, colour in colours.items()}


def test_only_the_named_scripts_may_run(opened: OpenedPage) -> None:
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 2\">')")
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in message for message in opened.wrong)
