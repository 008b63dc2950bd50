"""The order of the modules: each imports only from those above it, and content only from the one interface."""

import ast
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

LAYERS = """
torchvision errors terminal explain language rows text_files prompt stage contract recipe binding trust engine_type
latency limits job kinds capacity prices storage listing load raster image image_file ids sealed placeholders schema
tally parts ledger waiting source reader chat models engine suspects watch coordinator sink datasource autoscaler
metrics janitor remote_coordinator replica handle router pool node bill guard places segment graph funnel manifest
changes removed cluster phases executor monitor journal memory cluster_memory progress heartbeat figure pace cascade
forecast grade probe lock resume watchdog local_pool local_executor ray_executor run audit marks index picture sources
ingest trace show show_forecast report export browse diff submit cli __main__
""".split()  # noqa: SIM905
LIMIT = 300


def imported(file: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


FRAMEWORK = sorted(path for path in (ROOT / "oasis_ray").rglob("*.py") if path != ROOT / "oasis_ray/__init__.py")
CONTENT = sorted(path for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("file", FRAMEWORK, ids=lambda path: path.stem)
def test_a_module_imports_only_from_those_above_it(file: Path) -> None:
    own = file.relative_to(ROOT / "oasis_ray").parts[0].removesuffix(".py")
    ours = {name for name in imported(file) if name.startswith("oasis_ray.")}
    below = {name for name in ours if layer(name) > LAYERS.index(own)}
    assert below == set(), f"{file.name} imports {below}"


@pytest.mark.parametrize("file", CONTENT, ids=lambda path: path.stem)
def test_a_stage_imports_only_the_one_interface(file: Path) -> None:
    assert {name for name in imported(file) if name.startswith(("oasis_ray", "stages", "ray", "vllm"))} == {
        "oasis_ray.stage"
    }


def test_only_the_command_line_knows_the_stages() -> None:
    knowing = [file for file in FRAMEWORK if imported(file) & {"stages", "prompts"}]
    assert knowing == [ROOT / "oasis_ray/cli/app.py"]


def test_only_the_engine_imports_vllm() -> None:
    users = [file for file in FRAMEWORK if any(name.split(".")[0] == "vllm" for name in imported(file))]
    assert users == [ROOT / "oasis_ray/engine/vllm.py"]


def test_the_three_packages_are_one_checkout() -> None:
    import oasis_ray
    import prompts
    import stages

    assert {Path(package.__path__[0]).parent for package in (oasis_ray, stages, prompts)} == {ROOT}


@pytest.mark.parametrize("file", [*FRAMEWORK, *CONTENT], ids=lambda path: path.stem)
def test_a_module_is_about_one_thing(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LIMIT
