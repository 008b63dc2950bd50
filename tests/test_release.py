"""What a release installs is pinned with hashes, fits pyproject.toml, and is looked up for known vulnerabilities."""

import json
import re
import runpy
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import ROOT

FOLDER = ROOT / "requirements"
LOCK = FOLDER / "release.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"([a-z0-9._-]+)==([^\s;]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")
Report = Callable[..., list[str]]


def pins(file: Path) -> dict[str, str]:
    """The version of each package that a lock names with a hash."""
    return {name: version for name, version, _ in PIN.findall(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("file", [LOCK, FOLDER / "build.txt"], ids=lambda path: path.stem)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(file: Path) -> None:
    rest = PIN.sub("", file.read_text(encoding="utf-8"))
    assert [line for line in rest.splitlines() if line and not line.lstrip().startswith("#")] == []
    assert [text for text in ("://", "--index", "--find-links", "file:", str(ROOT)) if text in rest] == []


@pytest.mark.parametrize(
    "wanted", [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["gpu"],
               *PROJECT["project"]["optional-dependencies"]["cloud"], *PROJECT["build-system"]["requires"]],
)  # fmt: skip
def test_the_lock_fits_the_project(wanted: str) -> None:
    requirement = Requirement(wanted)
    assert requirement.specifier.contains(pins(LOCK)[canonicalize_name(requirement.name)]), "run `make lock`"


def test_the_package_is_built_with_what_is_installed() -> None:
    assert pins(FOLDER / "build.txt").items() <= pins(LOCK).items()


@pytest.fixture
def report() -> Report:
    pytest.importorskip("pip_audit", reason="pip-audit comes with the dev packages: make setup")
    found: Report = runpy.run_path(str(FOLDER / "vulnerabilities.py"))["report"]
    return found


class Advisories(BaseHTTPRequestHandler):
    """An OSV service that knows of one flaw, in pillow; under `/ill` it is out of order."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        package = asked["package"]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "11.3.0"}]}]
        flaw = {
            "id": "OSV-1",
            "aliases": ["CVE-1"],
            "summary": "",
            "affected": [{"package": package, "ranges": ranges}],
        }
        data = json.dumps({"vulns": [flaw]} if package["name"] == "pillow" else {}).encode()
        self.send_response(503 if self.path == "/ill" else 200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A lock of two packages."""
    lock = tmp_path / "lock.txt"
    lock.write_text("".join(f"{pin} --hash=sha256:{'0' * 64}\n" for pin in ("pillow==11.0.0", "rich==14.0.0")))
    return lock


def test_what_is_known_is_told_with_the_version_that_mends_it(report: Report, service: str, small: Path) -> None:
    assert report(small, "--osv-url", service) == [
        "pillow 11.0.0: CVE-1, OSV-1; fixed in 11.3.0",
        "2 packages looked up, 1 known vulnerabilities",
    ]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no.such.host.invalid/", "{service}/ill"])
def test_a_service_that_does_not_answer_is_told_in_a_line(url: str, report: Report, service: str, small: Path) -> None:
    (line,) = report(small, "--osv-url", url.format(service=service))
    assert line.startswith("vulnerabilities are not known: the advisory service can't be reached (")


def test_a_lock_that_cannot_be_read_is_a_failure(report: Report, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("pillow>=11\n")
    with pytest.raises(RuntimeError, match="pip-audit failed"):
        report(tmp_path / "lock.txt")


def test_the_command_ends_well_whether_there_is_a_network_or_not() -> None:
    pytest.importorskip("pip_audit", reason="pip-audit comes with the dev packages: make setup")
    done = subprocess.run(
        [sys.executable, FOLDER / "vulnerabilities.py"], env={"HTTPS_PROXY": "http://127.0.0.1:9"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vulnerabilities are not known: ")
