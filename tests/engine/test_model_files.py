"""Models are downloaded to a machine once, atomically, at the revision that the run has pinned."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.engine import model_files as models
from oasis_ray.engine.model_files import download, local_folder, pin_revisions
from oasis_ray.engine.vllm_args import engine_args
from oasis_ray.errors import JobError, RunError
from oasis_ray.job.pool import Pool
from tests.support.checkout import ROOT
from tests.support.s3 import Store

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "tokenizer.json": b"{}", "merges.txt": b"a b"}
LEFT = {"README.md": b"#", "modeling_x.py": b"print()", "pytorch_model.bin": b"pickle", "onnx/config.json": b"{}"}
DOWNLOAD = "import sys; from oasis_ray.engine.model_files import download; print(download(*sys.argv[1:]))"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def filled(store_here: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A store with a model in a bucket of this module, and an empty folder for downloaded models."""
    monkeypatch.setenv("OASIS_MODELS", str(tmp_path / "models"))
    store_here.put(bucket(tmp_path), {f"tiny/{name}": data for name, data in (FILES | LEFT).items()})
    return store_here


def bucket(folder: Path) -> str:
    return folder.name.replace("_", "-").lower()[:60]


def url(folder: Path) -> str:
    return f"s3://{bucket(folder)}/tiny"


def pin(model: str, revision: str | None = None, earlier: dict[str, Any] | None = None) -> str | None:
    """Return the revision that a run uses."""
    return pin_revisions({"vlm": Pool(model=model, revision=revision)}, earlier or {})["vlm"].revision


def test_only_files_without_code_are_downloaded(filled: Store, tmp_path: Path) -> None:
    revision = pin(url(tmp_path))
    assert local_folder(url(tmp_path), revision) is None
    folder = download(url(tmp_path), revision)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert (local_folder(url(tmp_path), revision), folder.parent) == (folder, tmp_path / "models")
    pool = Pool(model=url(tmp_path), revision=revision)
    assert engine_args(pool, str(folder), gpus=False, images=False)["model"] == str(folder)


def test_processes_that_start_at_once_bring_a_model_once(filled: Store, tmp_path: Path) -> None:
    words = [sys.executable, "-c", DOWNLOAD, url(tmp_path), str(pin(url(tmp_path)))]
    both = [
        subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = {process.communicate(timeout=200)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(folders) == 1
    assert filled.asked(f"GET /{bucket(tmp_path)}/tiny/model.safetensors") == 1


def test_a_download_that_was_cut_off_is_no_model_and_goes_on(filled: Store, tmp_path: Path) -> None:
    revision = pin(url(tmp_path))
    place = models._place(url(tmp_path), str(revision))
    half = Path(f"{place}.part")
    half.mkdir(parents=True)
    (half / "config.json").write_bytes(FILES["config.json"])
    (half / "model.safetensors.begun").write_bytes(b"wei")
    assert local_folder(url(tmp_path), revision) is None
    assert {path.name: path.read_bytes() for path in download(url(tmp_path), revision).iterdir()} == FILES
    assert filled.asked(f"GET /{bucket(tmp_path)}/tiny/config.json") == 0
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == [place.name]


def test_a_model_that_has_changed_is_a_different_revision(filled: Store, tmp_path: Path) -> None:
    old = pin(url(tmp_path))
    filled.client().put_object(Bucket=bucket(tmp_path), Key="tiny/model.safetensors", Body=b"WEIGHTS" * 1000)
    new = pin(url(tmp_path))
    assert new != old
    with pytest.raises(RunError) as error:
        download(url(tmp_path), old)
    assert str(error.value) == f"model {url(tmp_path)} is no longer at revision {old}: its files have changed"
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []
    with pytest.raises(JobError) as asked:
        pin(url(tmp_path), old)
    assert asked.value.problems == (
        f"pools.vlm.model: {url(tmp_path)} is at revision {new}, not {old}; its files have changed",
    )


def test_a_missing_model_is_reported(filled: Store, tmp_path: Path) -> None:
    client = filled.client()
    client.put_object(Bucket=bucket(tmp_path), Key="pickled/config.json", Body=b"{}")
    client.put_object(Bucket=bucket(tmp_path), Key="pickled/pytorch_model.bin", Body=b"pickle")
    given = {"none": f"s3://{bucket(tmp_path)}/none", "pickled": f"s3://{bucket(tmp_path)}/pickled"}
    with pytest.raises(JobError) as error:
        pin_revisions({name: Pool(model=model) for name, model in given.items()}, {})
    hint = "is the name right, and does the bucket exist at this endpoint?"
    assert error.value.problems == (
        f"pools.none.model: {given['none']}: {bucket(tmp_path)}/none; {hint}",
        f"pools.pickled.model: there is no model at {given['pickled']} (a folder with config.json and *.safetensors)",
    )


def test_a_local_folder_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("")
    assert (pin(str(tmp_path)), download(str(tmp_path), None), local_folder(str(tmp_path), None)) == (
        None,
        tmp_path,
        tmp_path,
    )


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's API that a download needs, for the model `we/tiny` at one commit."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.rpartition(f"/we/tiny/resolve/{COMMIT}/")[2]
        files = FILES | {"pytorch_model.bin": b"pickle"}
        if self.path.startswith("/api/models/we/tiny"):
            siblings = [{"rfilename": name} for name in files]
            tree = [{"type": "file", "oid": "0" * 40, "size": len(data), "path": name} for name, data in files.items()]
            made: Any = {"id": "we/tiny", "sha": COMMIT, "siblings": siblings}
            self._give(200, json.dumps(tree if "/tree/" in self.path else made).encode(), "application/json")
        elif name in files:
            self._give(200, files[name], "application/octet-stream")
        else:
            self._give(404, b"", "text/plain")

    do_HEAD = do_GET  # noqa: N815

    def _give(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        name = self.path.rpartition("/")[2]
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), "ETag": f'"{name}"',
                           "X-Repo-Commit": COMMIT, **({} if status == 200 else {"X-Error-Code": "RepoNotFound"}),
                           }.items():  # fmt: skip
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


HUB_WAY = """
import json, sys
from oasis_ray.errors import OasisError
from oasis_ray.job.pool import Pool
from oasis_ray.engine.model_files import download, local_folder, pin_revisions
model, revision, earlier = sys.argv[1], sys.argv[2] or None, json.loads(sys.argv[3])
try:
    found = pin_revisions({"vlm": Pool(model=model, revision=revision)}, earlier)["vlm"].revision
    folder = download(model, found)
    names = sorted(path.name for path in folder.iterdir())
    print(json.dumps([found, names, str(local_folder(model, found)) == str(folder)]))
except OasisError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables for a fake hub. The client reads them once, on import."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.asked.clear()
    yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "hub"),
           "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    server.shutdown()


def take(variables: dict[str, str], model: str, revision: str = "", **earlier: Any) -> Any:
    """Pin and download a model in a subprocess. Returns revision, files, and whether it is cached; or the error."""
    words = [sys.executable, "-c", HUB_WAY, model, revision, json.dumps(earlier)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | variables
    environment |= {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_a_hub_model_is_downloaded_at_a_commit_and_then_used_offline(hub: dict[str, str]) -> None:
    brought = [COMMIT, sorted(FILES), True]
    assert take(hub, "we/tiny") == brought
    offline = hub | {"HF_HUB_OFFLINE": "1"}
    Hub.asked.clear()
    assert take(offline, "we/tiny", COMMIT) == brought
    pool = {"model": "we/tiny", "revision": None}
    recorded = {"job": {"pools": {"vlm": pool}}, "pools": {"vlm": {"revision": COMMIT}}}
    assert take(offline, "we/tiny", **recorded) == brought
    assert Hub.asked == []


def test_a_model_that_is_not_there_is_told_with_what_to_do(hub: dict[str, str]) -> None:
    missing = take(hub, "we/none", "v2")
    assert missing.startswith("1 problem:\n  - pools.vlm.model: the hub has no we/none@v2: ")
    assert missing.endswith("; are id and revision right, and is HF_TOKEN set for a gated model?")
    Hub.asked.clear()
    todo = "HF_HUB_OFFLINE is set: download it while online (hf download we/tiny), or use a folder or a URL"
    offline = hub | {"HF_HUB_OFFLINE": "1"}
    assert take(offline, "we/tiny") == (
        f"1 problem:\n  - pools.vlm.model: we/tiny@main is not on this machine, and {todo}"
    )
    assert take(offline, "we/tiny", COMMIT) == f"model we/tiny@{COMMIT} is not on this machine, and {todo}"
    assert Hub.asked == []
    gone = take(hub | {"HF_ENDPOINT": "http://127.0.0.1:9"}, "we/tiny")
    assert gone.startswith("1 problem:\n  - pools.vlm.model: the hub can't be reached for we/tiny@main: ")
    assert gone.endswith("; HF_HUB_OFFLINE=1 uses the files on this machine")
