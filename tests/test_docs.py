"""The documentation says what the code does."""

import re
import runpy
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_tables_are_those_of_the_code(page: Path) -> None:
    written = runpy.run_path(str(ROOT / "docs/fields.py"))["written"]
    text = page.read_text(encoding="utf-8")
    assert written(text) == text, "run `make docs`"


def test_the_schema_of_the_statistics_is_that_of_the_code() -> None:
    schema = runpy.run_path(str(ROOT / "docs/fields.py"))["schema"]
    assert (ROOT / "docs/statistics.schema.json").read_text(encoding="utf-8") == schema(), "run `make docs`"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.stem)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    assert [(file, name) for file, name in named if f"\ndef {name}(" not in (ROOT / file).read_text("utf-8")] == []
    assert named or page.stem != "security"


def test_every_reason_that_the_code_gives_is_documented() -> None:
    page = (ROOT / "docs/run-folder.md").read_text(encoding="utf-8")
    files = [*(ROOT / "oasis_ray").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    given = {
        reason
        for file in files
        for reason in re.findall(
            r'(?:RowError\(|Route\.\w+, |reason = |return )"([a-z]+_[a-z_]+)"', file.read_text(encoding="utf-8")
        )
    }
    assert {reason for reason in given if f"`{reason}`" not in page} == set()
    assert len(given) > 15
