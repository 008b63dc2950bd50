"""The report's page in dark mode and on a phone. In light mode it is looked at in `tests/browser`."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.report_page import DESKTOP, PHONE, OpenedPage, hostile_page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_page(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(
    ("name", "options"),
    [("dark", {"color_scheme": "dark", "viewport": DESKTOP}), ("phone", {"color_scheme": "light", "viewport": PHONE})],
)
def test_hostile_rows_do_nothing_to_the_page(
    name: str, options: dict[str, Any], page: Path, browser: Any, artifacts: Path
) -> None:
    opened = OpenedPage(browser, page, **options)
    opened.check(name, artifacts)
    opened.page.context.close()
