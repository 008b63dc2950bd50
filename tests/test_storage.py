"""A whole job in a store that speaks S3: killed, taken up, audited, reported on; and all that goes wrong there."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks.standing import Standing
from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError, OasisError, RowError, RunError
from oasis_ray.ledger import mend, take_back
from oasis_ray.load import load_job
from oasis_ray.manifest import read_manifest
from oasis_ray.parts import PartWriter, write_part
from oasis_ray.rows import Divert, Route
from oasis_ray.run import Run
from oasis_ray.schema import Ended, packet
from oasis_ray.segment import fetch, settle
from oasis_ray.source import find_files
from oasis_ray.storage import locate, texts_here, told
from tests.support.checkout import ROOT
from tests.support.command import COMMAND
from tests.support.s3 import KEY, SECRET, Store
from tests.support.shards import picture, shard

pytest.importorskip("moto", reason="moto's server comes with the dev packages: make setup")
s3fs = pytest.importorskip("s3fs", reason="s3fs comes with the dev packages: make setup")

GOOD = [f"good-{n:02d}" for n in range(30)]
IDS = [*GOOD, "caption", "unclear", "nowhere", "no-picture"]
ENDS = {"accepted": GOOD, "captions": ["caption"], "rejected": ["unclear"], "failed": ["no-picture", "nowhere"]}
CREDENTIALS = "see which credentials the environment gives, and what they may do (docs/storage.md)"
BUCKET = "is the name right, and is there such a bucket at this endpoint?"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with the bucket `data` (shards, pictures, prompts), and empty ones."""
    folder = tmp_path_factory.mktemp("store")
    rows = [{"id": name, "bytes": None, "path": f"{name}.png"} for name in IDS]
    rows[-2]["path"] = "../secret.png"
    with Store(folder) as made:
        text = (Path(SHIPPED.prompts) / "clarity.txt").read_text().strip()
        made.put(
            "data",
            {f"images/{name}.png": picture() for name in IDS[:-2]}
            | {"shards/a.parquet": shard(folder / "a.parquet", rows[:20]).read_bytes()}
            | {"shards/b.parquet": shard(folder / "b.parquet", rows[20:]).read_bytes()}
            | {"prompts/clarity.txt": f"{text}\nThis one lies in a store.".encode()},
        )
        made.put("runs", {})
        made.put("readable", {"shards/a.parquet": (folder / "a.parquet").read_bytes()})
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::readable/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        made.client().put_bucket_policy(Bucket="readable", Policy=policy)
        yield made


@pytest.fixture
def near(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, as this process sees it too."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    return store


@pytest.fixture(scope="module")
def cluster(store: Store) -> Iterator[Standing]:
    """A cluster whose processes know the store, with its logs in a folder of its own."""
    logs = tempfile.mkdtemp(prefix="ray-")  # a short name, for it ends in those of sockets
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with Standing(f"--temp-dir={logs}", **store.environment | {"PYTHONPATH": path}) as standing:
        standing.logs = Path(logs)
        yield standing
    shutil.rmtree(logs, ignore_errors=True)


def job(folder: Path, **keys: Any) -> Path:
    """A job file all of whose paths lie in the store."""
    script = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:slow"}
    made = {
        "recipe": "oasis",
        "input": {"path": "s3://data/shards", "id": "id", "root": "s3://data/images"},
        "output": {"path": "s3://runs/first", "rows_per_part": 4},
        "prompts": "s3://data/prompts",
        "pools": {"vlm": script, "llm": script},
        "rows_per_task": 2,
        "rows_in_flight": 8,
        "max_failed": 1.0,
    } | keys
    (folder / "job.yaml").write_text(yaml.safe_dump(made))
    return folder / "job.yaml"


def call(standing: Standing, *words: Any) -> subprocess.CompletedProcess[str]:
    """Run `oasis-ray` with these words beside the cluster."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=standing.environment, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def done(store: Store, cluster: Standing, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run that was killed, and then taken up and brought to its end: what was said and what was left meanwhile."""
    path = job(tmp_path_factory.mktemp("job"))
    first = subprocess.Popen(
        [*COMMAND, "run", str(path)], cwd=ROOT, env=cluster.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not [name for name in store.names("runs") if "/part-" in name]:
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(2)  # writes that outlive their driver
    left = {name for name in store.names("runs") if "/part-" in name}
    fast = [f"pools.{pool}.script=tests.support.scripts:oasis" for pool in ("vlm", "llm")]
    second = call(cluster, "run", path, "--set", fast[0], "--set", fast[1])
    return SimpleNamespace(job=path, left=left, said=second)


def read(client: Any, name: str) -> list[dict[str, Any]]:
    """The rows of a part, as boto3 gets it."""
    data = client.get_object(Bucket="runs", Key=name)["Body"].read()
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data)).to_pylist()
    return rows


def test_a_run_that_was_killed_goes_on_in_the_store_and_every_row_ends_once(
    store: Store, cluster: Standing, done: SimpleNamespace
) -> None:
    assert done.said.returncode == 0, done.said.stderr
    kept = sum(len(read(store.client(), name)) for name in done.left)
    assert f"going on: {kept} of 34 rows had ended before" in done.said.stdout
    assert 0 < kept < 34
    names = [name for name in store.names("runs") if "/part-" in name]
    ids = {
        fate: sorted(row["id"] for name in names if f"/{fate}/" in name for row in read(store.client(), name))
        for fate in ENDS
    }
    assert ids == ENDS
    assert done.left < set(names)
    audit = call(cluster, "audit", "s3://runs/first")
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "every row ended exactly once"), audit.stderr
    status = call(cluster, "status", "s3://runs/first/")
    assert "34 of 34 rows stand in parts: 30 accepted, 1 captions, 1 rejected, 2 failed" in status.stdout


def test_pictures_and_prompts_come_from_the_store(near: Store, done: SimpleNamespace) -> None:
    rows = {
        row["id"]: row
        for name in near.names("runs")
        if "/part-" in name and name.startswith(("first/accepted", "first/failed"))
        for row in read(near.client(), name)
    }
    assert rows["good-00"]["image"]["bytes"] == picture()
    assert {name: rows[name]["reason"] for name in ENDS["failed"]} == {
        "no-picture": "image_missing", "nowhere": "image_path",
    }  # fmt: skip
    assert read_manifest("s3://runs/first")["prompts"]["clarity"].endswith("\nThis one lies in a store.")


def test_a_report_is_made_in_the_store(store: Store, cluster: Standing, done: SimpleNamespace) -> None:
    said = call(cluster, "report", "s3://runs/first")
    assert said.returncode == 0, said.stderr
    names = ["first/report/index.html", "first/report/statistics.json"]
    assert [name for name in store.names("runs") if "/report/" in name] == names
    made = json.loads(store.client().get_object(Bucket="runs", Key=names[1])["Body"].read())
    assert made["subjects"][0]["rows"] == 34


def test_a_store_that_takes_nothing_is_told_before_an_engine_starts(
    store: Store, cluster: Standing, done: SimpleNamespace, tmp_path: Path
) -> None:
    said = call(cluster, "run", job(tmp_path, output={"path": "s3://readable/run"}))
    told = f"JobError: 1 problem:\n  - output.path: s3://readable/run: Forbidden; {CREDENTIALS}\n"
    assert (said.returncode, said.stderr) == (2, told)


def test_no_key_is_left_behind(store: Store, cluster: Standing, done: SimpleNamespace) -> None:
    client = store.client()
    left = [client.get_object(Bucket="runs", Key=name)["Body"].read() for name in store.names("runs")]
    left += [file.read_bytes() for file in cluster.logs.rglob("*") if file.is_file() and not file.is_symlink()]
    left += [done.said.stdout.encode(), done.said.stderr.encode()]
    assert [data[:80] for data in left if SECRET.encode() in data or KEY.encode() in data] == []
    assert len(left) > 20


def refused(path: Path) -> OasisError:
    """What a run of this job file ends with, before it comes to a cluster."""
    with pytest.raises(OasisError) as error:
        Run(*load_job(path, SHIPPED)).execute()
    assert SECRET not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"input": {"path": "s3://nobody/shards"}}, "input.path: there are no Parquet files at s3://nobody/shards"),
        ({"input": {"path": "s3://data/none"}}, "input.path: there are no Parquet files at s3://data/none"),
        (
            {"input": {"path": "s3://data/shards", "root": "s3://nobody/images"}},
            "input.root: there is no folder s3://nobody/images",
        ),
        (
            {"output": {"path": "s3://nobody/run"}},
            f"output.path: s3://nobody/run: The specified bucket does not exist; {BUCKET}",
        ),
        ({"output": {"path": "s3://readable/run"}}, f"output.path: s3://readable/run: Forbidden; {CREDENTIALS}"),
        ({"prompts": "s3://nobody/p"}, "prompts: there are no .txt files at s3://nobody/p"),
        ({"prompts": "s3://data/images"}, "prompts: there are no .txt files at s3://data/images"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_bucket_or_a_folder_that_is_not_there_is_told(
    near: Store, tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    error = refused(job(tmp_path, **keys))
    assert (type(error), error.args[0], error.exit_code) == (JobError, (told,), 2)
    assert sorted(bucket["Name"] for bucket in near.client().list_buckets()["Buckets"]) == ["data", "readable", "runs"]


def test_credentials_that_are_refused_or_absent_are_told(
    near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = job(tmp_path, prompts=None)
    near.check_keys(0)
    try:
        wrong = refused(path)
    finally:
        near.check_keys(float("inf"))
    unknown = "The AWS Access Key Id you provided does not exist in our records."
    assert wrong.args[0] == (f"input.path: s3://data/shards: {unknown}; {CREDENTIALS}",)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    assert refused(path).args[0] == (f"input.path: s3://data/shards: Unable to locate credentials; {CREDENTIALS}",)


def test_a_store_that_does_not_answer_is_told(near: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(JobError) as error:
        find_files("s3://data/shards")
    (text,) = error.value.problems
    assert text.startswith("input.path: s3://data/shards: Could not connect to the endpoint URL: ")
    assert text.endswith("; can this machine reach the store, and is the endpoint right (AWS_ENDPOINT_URL)?")


def test_a_login_in_what_a_store_says_is_not_repeated() -> None:
    with pytest.raises(RunError) as error, told("input.root", "s3://data/images"):
        raise ConnectionError(f"no answer from http://user:{SECRET}@127.0.0.1:9/data")
    assert str(error.value).startswith("input.root: s3://data/images: no answer from http://…@127.0.0.1:9/data; ")


def test_a_part_appears_whole_or_not_at_all(near: Store) -> None:
    parquet_has_none = pa.table({"id": ["a"], "nothing": pa.array([{}], pa.struct([]))})
    with pytest.raises(pa.ArrowNotImplementedError):
        write_part(parquet_has_none, "s3://runs/parts/accepted", "part-0.parquet")
    assert [name for name in near.names("runs") if name.startswith("parts")] == []


def test_a_part_that_is_written_again_takes_the_place_of_all_parts_of_its_task(near: Store, tmp_path: Path) -> None:
    _, recipe = load_job(job(tmp_path), SHIPPED)
    writer = PartWriter("s3://runs/again", recipe, session="s")
    for route in (Route.REJECTED, Route.FAILED):
        row = Ended("a", {"file": "s", "row_group": 0, "row": 0}, None, None)
        ended = packet([settle(row, "hook", Divert(route, "why"))], recipe, keep_images=False)
        writer.write([ended], 0)
    assert [name for name in near.names("runs") if name.startswith("again")] == ["again/failed/part-s-000000.parquet"]
    denied = PartWriter("s3://readable/run", recipe, session="s")
    with pytest.raises(RunError) as error:
        denied.write([ended], 0)
    assert str(error.value) == f"output.path: s3://readable/run: Forbidden; {CREDENTIALS}"


def test_what_a_killed_session_left_is_mended_and_failed_rows_are_taken_back(near: Store) -> None:
    run, client = "s3://runs/torn", near.client()
    write_part(pa.table({"id": ["a", "b"]}), f"{run}/accepted", "part-0.parquet")
    write_part(pa.table({"id": ["b", "c"], "reason": ["x", "y"]}), f"{run}/failed", "part-1.parquet")
    client.put_object(Bucket="runs", Key="torn/captions/part-2.parquet", Body=b"PAR1 and then")
    ended, told = mend(run)
    assert ended.to_pylist() == ["a", "b", "c"]
    assert [text.split(" (")[0].split(";")[0] for text in told] == [
        "set aside a part that can't be read", "1 rows had been written twice",
    ]  # fmt: skip
    assert take_back(run, "y") == 1
    assert [name for name in near.names("runs") if name.startswith("torn")] == [
        "torn/accepted/part-0.parquet", "torn/broken/captions-part-2.parquet",
    ]  # fmt: skip


def test_a_picture_in_a_store_that_refuses_is_the_machinerys_fault_and_no_bad_row(near: Store) -> None:
    assert fetch("s3://data/images", "good-00.png", 10) == picture()[:11]
    with pytest.raises(RowError) as missing:
        fetch("s3://data/images", "none.png", 10)
    assert missing.value.args == ("image_missing", "there is no file 'none.png' below input.root")
    near.check_keys(0)
    try:
        with pytest.raises(RunError) as error:
            fetch("s3://data/images", "good-01.png", 10)
    finally:
        near.check_keys(float("inf"))
    assert str(error.value) == f"input.root: s3://data/images: Forbidden; {CREDENTIALS}"


def test_what_others_write_meanwhile_is_seen(near: Store) -> None:
    fs, place = locate("s3://runs/watched")
    assert fs.find(place) == []
    near.client().put_object(Bucket="runs", Key="watched/new", Body=b"1")
    assert locate("s3://runs/watched")[0].find(place) == ["runs/watched/new"]


def test_a_name_that_leads_out_is_no_path_here(near: Store, tmp_path: Path) -> None:
    for name in ("names/in.txt", "names/sub/deep.txt", "names/../../out.txt", "names/sub\\..\\out.txt"):
        near.client().put_object(Bucket="data", Key=name, Body=b"text")
    with texts_here("s3://data/names") as folder:
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.txt")) == ["in.txt", "sub/deep.txt"]
    assert not folder.exists()
