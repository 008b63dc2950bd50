"""A whole job in a store that speaks S3: killed, taken up, audited, reported on; and all that goes wrong there."""

import json
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError, OasisError, RunError
from oasis_ray.input.listing import list_files
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import read_manifest
from oasis_ray.run.run import Run
from oasis_ray.storage import store_errors
from tests.support.checkout import ROOT
from tests.support.command import COMMAND, call
from tests.support.jobs import scripted, write_job
from tests.support.leaks import holding, readable
from tests.support.s3 import KEY, SECRET, Store, forget, here
from tests.support.shards import picture, shard

# These buckets are this module's own: the store is there for all tests.
DATA, RUNS, READABLE = "storage-data", "storage-runs", "storage-readable"
RUN = f"s3://{RUNS}/first"
GOOD = [f"good-{n:02d}" for n in range(30)]
IDS = [*GOOD, "caption", "unclear", "nowhere", "no-picture"]
ENDS = {"accepted": GOOD, "captions": ["caption"], "rejected": ["unclear"], "failed": ["no-picture", "nowhere"]}
CREDENTIALS = "check the credentials in the environment and their permissions (docs/storage.md)"
BUCKET = "is the name right, and does the bucket exist at this endpoint?"


@pytest.fixture(scope="module")
def filled(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store with shards, pictures and prompts in a bucket, and with a bucket that is read alone."""
    folder = tmp_path_factory.mktemp("store")
    rows = [{"id": name, "bytes": None, "path": f"{name}.png"} for name in IDS]
    rows[-2]["path"] = "../secret.png"
    text = (Path(SHIPPED.prompts) / "clarity.txt").read_text().strip()
    store.put(
        DATA,
        {f"images/{name}.png": picture() for name in IDS[:-2]}
        | {"shards/a.parquet": shard(folder / "a.parquet", rows[:20]).read_bytes()}
        | {"shards/b.parquet": shard(folder / "b.parquet", rows[20:]).read_bytes()}
        | {"prompts/clarity.txt": f"{text}\nThis one lies in a store.".encode()},
    )
    store.put(RUNS, {})
    store.put(READABLE, {"shards/a.parquet": (folder / "a.parquet").read_bytes()})
    store.take_nothing(READABLE)
    return store


@pytest.fixture
def near(filled: Store, store_here: Store) -> Store:
    """The filled store, as this process sees it too."""
    return store_here


def job(folder: Path, **keys: Any) -> Path:
    """A job file all of whose paths lie in the store."""
    made = {
        "input": {"path": f"s3://{DATA}/shards", "id": "id", "root": f"s3://{DATA}/images"},
        "output": {"path": RUN, "rows_per_part": 4},
        "prompts": f"s3://{DATA}/prompts",
        "pools": scripted("slow"),
        "rows_per_task": 2,
        "rows_in_flight": 8,
    }
    return write_job(folder, **made | keys)


def parts(store: Store) -> list[str]:
    """The names of all parts of the run."""
    return [name for name in store.names(RUNS) if name.startswith("first/") and "/part-" in name]


@pytest.fixture(scope="module")
def done(filled: Store, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run that was killed, and then taken up and brought to its end: what was said and what was left meanwhile."""
    path = job(tmp_path_factory.mktemp("job"))
    first = subprocess.Popen(
        [*COMMAND, "run", str(path)], cwd=ROOT, env=here(filled), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not parts(filled):
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    killed = first.communicate()[0]
    left = set(parts(filled))
    fast = [f"pools.{pool}.script=tests.support.scripts:oasis" for pool in ("vlm", "llm")]
    second = call("run", path, "--set", fast[0], "--set", fast[1], **filled.environment)
    return SimpleNamespace(left=left, killed=killed, said=second)


def read(store: Store, name: str) -> list[dict[str, Any]]:
    """The rows of a part, as boto3 gets it."""
    data = store.client().get_object(Bucket=RUNS, Key=name)["Body"].read()
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data)).to_pylist()
    return rows


def test_a_run_that_was_killed_goes_on_in_the_store_and_every_row_ends_once(
    filled: Store, done: SimpleNamespace
) -> None:
    assert done.said.returncode == 0, done.said.stderr
    kept = sum(len(read(filled, name)) for name in done.left)
    assert f"resuming: {kept} of 34 rows had ended before" in done.said.stdout
    assert 0 < kept < 34
    names = parts(filled)
    ids = {
        outcome: sorted(row["id"] for name in names if f"/{outcome}/" in name for row in read(filled, name))
        for outcome in ENDS
    }
    assert ids == ENDS
    assert done.left < set(names)
    audit = call("audit", RUN, **filled.environment)
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "every row ended exactly once"), audit.stderr
    status = call("status", f"{RUN}/", **filled.environment)
    assert "34 of 34 rows are in part files: 30 accepted, 1 captions, 1 rejected, 2 failed" in status.stdout


def test_pictures_and_prompts_come_from_the_store(near: Store, done: SimpleNamespace) -> None:
    rows = {
        row["id"]: row
        for name in parts(near)
        if name.startswith(("first/accepted", "first/failed"))
        for row in read(near, name)
    }
    assert rows["good-00"]["image"]["bytes"] == picture()
    assert {name: rows[name]["reason"] for name in ENDS["failed"]} == {
        "no-picture": "image_missing", "nowhere": "image_path",
    }  # fmt: skip
    assert read_manifest(RUN)["prompts"]["clarity"].endswith("\nThis one lies in a store.")


def test_a_report_is_made_in_the_store(filled: Store, done: SimpleNamespace) -> None:
    said = call("report", RUN, **filled.environment)
    assert said.returncode == 0, said.stderr
    names = ["first/report/index.html", "first/report/statistics.json"]
    assert [name for name in filled.names(RUNS) if name.startswith("first/report/")] == names
    made = json.loads(filled.client().get_object(Bucket=RUNS, Key=names[1])["Body"].read())
    assert made["subjects"][0]["rows"] == 34


def test_no_key_is_left_behind(filled: Store, done: SimpleNamespace) -> None:
    client = filled.client()
    names = [name for name in filled.names(RUNS) if name.startswith("first/")]
    texts = {name: readable(name, client.get_object(Bucket=RUNS, Key=name)["Body"].read()) for name in names}
    texts |= {"killed": done.killed, "stdout": done.said.stdout, "stderr": done.said.stderr}
    assert holding(texts, SECRET, KEY) == []
    assert len(texts) > 10


def test_a_store_that_takes_nothing_is_told_before_an_engine_starts(filled: Store, tmp_path: Path) -> None:
    path = job(tmp_path, output={"path": f"s3://{READABLE}/run"}, pools=scripted("oasis"))
    said = call("run", path, **filled.environment)
    told = f"JobError: 1 problem:\n  - output.path: s3://{READABLE}/run: Forbidden; {CREDENTIALS}\n"
    assert (said.returncode, said.stdout, said.stderr) == (2, "reading the input …\n", told)


def refused(path: Path) -> OasisError:
    """What a run of this job file ends with, before it looks for machines."""
    steps: list[str] = []
    with pytest.raises(OasisError) as error:
        Run(*load_job(path, SHIPPED)).execute(steps.append)
    assert steps in ([], ["reading the input"])
    assert SECRET not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"input": {"path": "s3://nobody/shards"}}, "input.path: there are no Parquet files at s3://nobody/shards"),
        ({"input": {"path": f"s3://{DATA}/none"}}, f"input.path: there are no Parquet files at s3://{DATA}/none"),
        (
            {"input": {"path": f"s3://{DATA}/shards", "root": "s3://nobody/images"}},
            "input.root: there is no folder s3://nobody/images",
        ),
        (
            {"output": {"path": "s3://nobody/run"}},
            f"output.path: s3://nobody/run: The specified bucket does not exist; {BUCKET}",
        ),
        ({"output": {"path": f"s3://{READABLE}/run"}}, f"output.path: s3://{READABLE}/run: Forbidden; {CREDENTIALS}"),
        ({"prompts": "s3://nobody/p"}, "prompts: there are no .txt files at s3://nobody/p"),
        ({"prompts": f"s3://{DATA}/images"}, f"prompts: there are no .txt files at s3://{DATA}/images"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_bucket_or_a_folder_that_is_not_there_is_told(
    near: Store, tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    error = refused(job(tmp_path, **keys))
    assert (type(error), error.args[0], error.exit_code) == (JobError, (told,), 2)
    assert "nobody" not in [bucket["Name"] for bucket in near.client().list_buckets()["Buckets"]]


def test_credentials_that_are_refused_or_absent_are_told(
    near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = job(tmp_path, prompts=None, output={"path": f"{tmp_path}/run"})
    near.check_keys(0)
    try:
        wrong = refused(path)
    finally:
        near.check_keys(float("inf"))
    unknown = "The AWS Access Key Id you provided does not exist in our records."
    assert wrong.args[0] == (f"input.path: s3://{DATA}/shards: {unknown}; {CREDENTIALS}",)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    forget()
    assert refused(path).args[0] == (f"input.path: s3://{DATA}/shards: Unable to locate credentials; {CREDENTIALS}",)


def test_a_store_that_does_not_answer_is_told(near: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    with pytest.raises(JobError) as error:
        list_files(f"s3://{DATA}/shards")
    (text,) = error.value.problems
    assert text.startswith(f"input.path: s3://{DATA}/shards: Could not connect to the endpoint URL: ")
    assert text.endswith("; can this machine reach the store, and is the endpoint right (AWS_ENDPOINT_URL)?")


def test_a_login_in_what_a_store_says_is_not_repeated() -> None:
    with pytest.raises(RunError) as error, store_errors("input.root", f"s3://{DATA}/images"):
        raise ConnectionError(f"no answer from http://user:{SECRET}@127.0.0.1:9/data")
    assert str(error.value).startswith(f"input.root: s3://{DATA}/images: no answer from http://…@127.0.0.1:9/data; ")
