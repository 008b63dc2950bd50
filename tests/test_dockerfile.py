"""The image: not root, pinned, and holding what is let in. It is read here; no test builds it."""

import re
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.cluster_files import DOCKERFILE


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile, by name, after those of the stage it is made from."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in (line.split(maxsplit=1) for line in text.splitlines() if line.strip()):
        if word == "FROM":
            origin, _, name = rest.split()
            found[name] = [*found.get(origin, []), (word, origin)]
        else:
            found[name].append((word, " ".join(rest.split())))
    return found


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_runs_as_nobody_special_from_a_base_of_one_version(target: str) -> None:
    steps = stages()[target]
    assert [rest for word, rest in steps if word == "USER"] == ["$OASIS_UID"]
    assert ("ARG", "OASIS_UID=1000") in steps
    locked = re.search(r"--python-version (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert locked
    assert re.fullmatch(rf"python:{re.escape(locked[1])}\.\d+-slim-\w+", steps[0][1])
    # Ray's launcher reads HOME from the image; a cluster started without a token must not start.
    environment = " ".join(rest for word, rest in steps if word == "ENV")
    assert {"HOME=/home/oasis", "RAY_AUTH_MODE=token"} <= set(environment.split())
    assert re.findall(r"(?i)\w*(?:secret|password|_token|_key)\w*=", environment) == []
    installed = next(rest for word, rest in steps if "apt-get install" in rest)
    assert {"rsync", "openssh-client", "wget", "gcc", "libnuma1"} <= set(installed.split())


def test_the_image_for_gpus_installs_what_is_locked_and_nothing_else() -> None:
    installs = [line for word, rest in stages()["gpu"] for line in rest.split(" && ") if "pip install" in line]
    assert [line.removeprefix("pip install ") for line in installs] == [
        "--require-hashes --requirement requirements/build.txt",
        "--require-hashes --no-deps --no-build-isolation --requirement requirements/release.txt",
        "--no-deps --no-build-isolation .",
    ]
    # The lock and the Makefile say the versions; said here again they would come to differ.
    assert re.findall(r"\b(?:ray|vllm|torch)\b[^ ]*==", DOCKERFILE.read_text(encoding="utf-8")) == []


def test_an_image_holds_what_is_let_in_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert [name for name in let_in if not (ROOT / name).exists()] == []
    copies = [rest.removeprefix("--chown=oasis:oasis ") for word, rest in stages()["gpu"] if word == "COPY"]
    copied = {source for rest in copies for source in rest.split()[:-1]}
    assert [source for source in copied if not any(Path(source).is_relative_to(name) for name in let_in)] == []
