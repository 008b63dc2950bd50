"""The subpackages, here called rooms: what each may import, and which modules import Ray."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

ROOMS = "cluster stage recipe job input engine stats output pool cost export explore pipeline report run cli".split()  # noqa: SIM905
GROUND = {
    "errors": set(), "text_files": {"errors"}, "validation": {"errors", "text_files"}, "types": set(),
    "storage": {"errors"}, "torchvision": set(), "__init__": set(), "__main__": {"cli"},
}  # fmt: skip
RAY = {
    "cluster/autoscaler", "cluster/cluster_memory", "cluster/connection", "cluster/job_submission", "cluster/metrics",
    "output/sink", "pipeline/datasource", "pipeline/graph", "pipeline/remote_coordinator",
    "pool/deployment", "pool/handle", "pool/lease", "pool/reaper", "pool/replica", "pool/router", "pool/status",
    "report/parallel",
}  # fmt: skip
VLLM = {"engine/vllm", "engine/vllm_metrics"}
LIMIT = 300

PACKAGE = ROOT / "oasis_ray"
FRAMEWORK = sorted(PACKAGE.rglob("*.py"))
CONTENT = sorted(path for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def place(file: Path) -> str:
    """`room/module` of a file, or the name of one that lies on the ground."""
    return file.relative_to(PACKAGE).with_suffix("").as_posix()


def room(name: str) -> str:
    return name.partition("/")[0]


def imported(file: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


PLACES = {place(file) for file in FRAMEWORK}


def ours(file: Path) -> set[str]:
    """The places of the framework that a file imports."""
    names = {name.removeprefix("oasis_ray.").replace(".", "/") for name in imported(file) if "oasis_ray." in name}
    return {name if name in PLACES else f"{name}/__init__" for name in names} & PLACES


@pytest.mark.parametrize("file", FRAMEWORK, ids=place)
def test_a_module_imports_only_from_rooms_to_its_left(file: Path) -> None:
    own = room(place(file))
    if own == "content":
        assert ours(file) <= {"content/__init__"}
        return
    allowed = {"content"} if own == "cli" else set[str]()
    allowed |= GROUND[own] if own in GROUND else {*ROOMS[: ROOMS.index(own) + 1], *GROUND}
    assert {name for name in ours(file) if room(name) not in allowed} == set()


@pytest.mark.parametrize("name", ROOMS)
def test_no_modules_of_a_room_import_each_other_in_a_circle(name: str) -> None:
    inside = {place(file): {one for one in ours(file) if room(one) == name} for file in (PACKAGE / name).glob("*.py")}
    if name == "cli":  # its commands register with the application, which the room itself imports
        inside = {one: {other for other in others if other != "cli/__init__"} for one, others in inside.items()}
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def imports(file: Path, package: str) -> bool:
    return any(name.partition(".")[0] == package for name in imported(file))


@pytest.mark.parametrize(("package", "expected"), [("ray", RAY), ("vllm", VLLM)])
def test_only_these_import(package: str, expected: set[str]) -> None:
    assert {place(file) for file in FRAMEWORK if imports(file, package)} == expected


def test_every_room_states_its_law() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {*ROOMS, "content"}
    for name in folders:
        law = ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8")))
        assert law, f"{name}/__init__.py has no docstring"


def test_the_package_has_few_files_outside_its_rooms() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(GROUND)
    assert len(GROUND) <= 8


@pytest.mark.parametrize("file", CONTENT, ids=lambda path: path.stem)
def test_a_stage_imports_only_the_one_interface(file: Path) -> None:
    ours = {name for name in imported(file) if name.startswith(("oasis_ray", "stages", "ray", "vllm"))}
    assert {name for name in ours if not name.startswith("oasis_ray.stage.")} <= {"oasis_ray.stage"}


def test_only_the_command_line_knows_the_content() -> None:
    knowing = {place(file) for file in FRAMEWORK if any("oasis_ray.content" in name for name in imported(file))}
    assert knowing == {"cli/app"}


@pytest.mark.parametrize("file", [*FRAMEWORK, *CONTENT], ids=lambda path: path.stem)
def test_a_module_is_about_one_thing(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LIMIT
