"""The shipped stages and prompts are found under the project's own name, however it is installed."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

SEEN = """
import sys
from oasis_ray.cli import SHIPPED
print(SHIPPED.stages["score"].__module__, SHIPPED.recipes, SHIPPED.prompts, "stages" in sys.modules)
"""
TABLES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def checkout(_: Path) -> tuple[Path, Path]:
    """A checkout on Python's path, as a job that Ray gets with `--working-dir .` has it: nothing is installed."""
    return ROOT, ROOT


def wheel(folder: Path) -> tuple[Path, Path]:
    """What a wheel installs."""
    source = folder / "source"  # a copy: the build leaves its files in the folder, and takes what an earlier one left
    for name in ("oasis_ray", "stages", "prompts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(words, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as packed:
        packed.extractall(folder / "installed")
    return folder / "installed", folder / "installed/oasis_ray/content"


@pytest.mark.parametrize("installed", [checkout, wheel], ids=lambda one: one.__name__)
def test_the_content_is_found_beside_folders_of_the_same_names(
    installed: Callable[[Path], tuple[Path, Path]], tmp_path: Path
) -> None:
    path, content = installed(tmp_path)
    job = tmp_path / "job"
    for name in ("stages", "prompts", "oasis_ray_content"):
        (job / name).mkdir(parents=True)
        (job / name / "__init__.py").write_text("raise SystemExit('this is somebody else')")
    done = subprocess.run(
        [sys.executable, "-c", SEEN],
        cwd=job,
        env={"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = f"oasis_ray.content.stages.score {content}/stages/recipes {content}/prompts False\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_every_package_and_every_text_is_in_the_wheel(tmp_path: Path) -> None:
    installed, content = wheel(tmp_path)
    of_ours = {
        file.relative_to(ROOT / "oasis_ray") for file in (ROOT / "oasis_ray").rglob("*.*") if file.suffix != ".pyc"
    }
    assert {file for file in of_ours if not (installed / "oasis_ray" / file).is_file()} == set()
    for name in ("stages", "prompts"):
        files = {file.relative_to(ROOT / name) for file in (ROOT / name).rglob("*.*") if file.suffix != ".pyc"}
        assert {file for file in files if not (content / name / file).is_file()} == set()
    assert sorted(path.name for path in installed.iterdir() if not path.name.endswith("-info")) == ["oasis_ray"]


def test_the_packages_are_the_folders() -> None:
    folders = {file.parent.relative_to(ROOT).as_posix() for file in (ROOT / "oasis_ray").rglob("*.py")}
    content = {"oasis_ray.content.stages", "oasis_ray.content.prompts"}
    assert {*TABLES["packages"]} == {folder.replace("/", ".") for folder in folders} | content
