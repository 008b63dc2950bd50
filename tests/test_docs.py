"""The documentation says what the code does."""

import re
import runpy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
ALL = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"))]
EXAMPLES = {"tests/stages/test_shorten.py", "tests/stages/test_NAME.py"}  # files that a reader would write


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_tables_are_those_of_the_code(page: Path) -> None:
    written = runpy.run_path(str(ROOT / "docs/fields.py"))["written"]
    text = page.read_text(encoding="utf-8")
    assert written(text) == text, "run `make docs`"


def test_the_table_of_stages_has_the_reasons_of_functions_that_a_stage_takes_from_another() -> None:
    lines = runpy.run_path(str(ROOT / "docs/fields.py"))["stages"]().splitlines()
    reasons = {line.split("`")[1]: line.rpartition(" | ")[2].removesuffix(" |") for line in lines[2:]}
    failed = "failed: `no_kind`, `no_instruction`, `instruction_truncated`"
    assert {name: reasons[name] for name in ("categorize", "kind", "hook", "hooks")} == {
        "categorize": f"exit `caption`: `caption`; {failed}",
        "kind": failed,  # it has no exits: captions stay on its route
        "hook": "rejected: `empty_hook`",
        "hooks": "rejected: `empty_hook`",
    }


def test_the_schema_of_the_statistics_is_that_of_the_code() -> None:
    schema = runpy.run_path(str(ROOT / "docs/fields.py"))["schema"]
    assert (ROOT / "docs/statistics.schema.json").read_text(encoding="utf-8") == schema(), "run `make docs`"


@pytest.mark.parametrize("page", ALL, ids=name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    links = re.findall(r"(?:\]\(|src=\")([^)#:\"]*)(?:#([^)\"]+))?[)\"]", page.read_text(encoding="utf-8"))
    targets = [(page.parent / file if file else page, anchor) for file, anchor in links]
    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [(name(target), anchor) for target, anchor in targets if anchor and anchor not in anchors(target)] == []


@pytest.mark.parametrize("page", ALL, ids=name)
def test_a_file_or_module_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = set(re.findall(r"(?<![\w./$-])((?:oasis_ray|tests|docs)/[\w./*-]*[\w*])", text)) - EXAMPLES
    assert sorted(file for file in files if not any(ROOT.glob(file))) == []
    modules = {module.replace(".", "/") for module in re.findall(r"from (oasis_ray[.\w]*) import", text)}
    assert [file for file in modules if not (ROOT / f"{file}.py").exists() and not (ROOT / file).is_dir()] == []


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == ["index.md"]
    listed = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    decisions = [page.name for page in (ROOT / "docs/decisions").glob("0*.md")]
    assert [file for file in decisions if f"({file})" not in listed] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
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
            r'(?:RowError\(|(?:REJECTED|FAILED), |reason = |return )"([a-z]+_[a-z_]+)"',
            file.read_text(encoding="utf-8"),
        )
    }
    assert {reason for reason in given if f"`{reason}`" not in page} == set()
    assert len(given) > 15


def test_a_word_that_is_refused_is_in_the_glossary() -> None:
    """`make check` runs codespell with this dictionary."""
    lines = (ROOT / "docs/glossary.codespell").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines)
    rows = re.findall(r"^\|(.+)\|.+\|(.+)\|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    replaced = {word for _, words in rows for word in re.findall(r"\w+", words)}
    forms = {re.sub(r"(?<=sh|ch)es$|s$", "", line.partition("->")[0]) for line in lines}
    assert forms - replaced == set()


FOLDERS = ("benchmarks", "cluster", "docs", "oasis_ray", "stages", "tests")
IMPORTS = re.compile(r"from (oasis_ray[\w.]*) import ((?:\w+(?: as \w+)?(?:, )?)+)")


def test_imports_in_texts_and_in_code_that_tests_run_find_their_names() -> None:
    suffixes = ("*.py", "*.md", "*.yaml", "*.ipynb")
    files = [file for folder in (ROOT, *(ROOT / name for name in FOLDERS)) for suffix in suffixes
             for file in (folder.glob(suffix) if folder == ROOT else folder.rglob(suffix))]  # fmt: skip
    wanted = {
        (match[1], name.split(" as ")[0])
        for file in files
        for match in IMPORTS.finditer(file.read_text(encoding="utf-8"))
        for name in match[2].strip(", ").split(", ")
    }
    assert len(wanted) > 300
    missing = [f"{module}.{name}" for module, name in sorted(wanted) if not _exists(module, name)]
    assert missing == []


def _exists(module: str, name: str) -> bool:
    return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
