"""What docs/security.md promises: no code comes out of data, and no key is in anything that a run leaves behind."""

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.cli.terminal import Terminal
from oasis_ray.engine.openai import OpenAIEngine
from oasis_ray.engine.vllm_args import engine_args
from oasis_ray.errors import JobError, OasisError, RunError
from oasis_ray.job.input import Input
from oasis_ray.job.load import load_job
from oasis_ray.job.model_folder import folder_problems
from oasis_ray.job.output import Output
from oasis_ray.job.pool import Pool
from oasis_ray.output.part_writer import PartWriter
from oasis_ray.output.record import batch
from oasis_ray.types import Call, Request
from tests.support.checkout import ROOT
from tests.support.command import call
from tests.support.jobs import rows
from tests.support.leaks import holding, texts_below
from tests.support.models import LLM, VLM
from tests.support.records import RECIPE, ended
from tests.support.servers import Echo, serving

CODE = sorted(file for folder in ("oasis_ray", "stages", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
# Modules that turn bytes into objects by running what the bytes say.
UNPICKLING = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
# Calls that run text as code, or read a file that may hold code.
FORBIDDEN = {"eval", "exec", "compile", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load",
             "pandas.read_pickle", "pd.read_pickle"}  # fmt: skip
# Calls that read such files unless an argument says otherwise.
ONLY_WITH = {"torch.load": ("weights_only", True)}
NEVER_BUT = {"trust_remote_code": False, "allow_pickle": False}
SECRET = "planted-4815162342-sesame"


def dangers(tree: ast.AST) -> Iterator[str]:
    """What a module does that could run code out of data, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None), *(name.name for name in node.names)]
            parts = {part for name in names if name for part in name.split(".")}
            yield from (f"{node.lineno}: imports {part}" for part in sorted(parts & UNPICKLING))
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
        if called in FORBIDDEN:
            yield f"{node.lineno}: calls {called}"
        if called in ONLY_WITH and not says(given.get(ONLY_WITH[called][0]), ONLY_WITH[called][1]):
            yield f"{node.lineno}: calls {called} without {ONLY_WITH[called][0]}={ONLY_WITH[called][1]}"
        for word, safe in NEVER_BUT.items():
            if word in given and not says(given[word], safe):
                yield f"{node.lineno}: gives {word}"


def says(value: ast.expr | None, constant: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is constant


@pytest.mark.parametrize("file", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_code_out_of_data(file: Path) -> None:
    assert list(dangers(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import pickle", "imports pickle"),
        ("import numpy as np, dill.source", "imports dill"),
        ("from ray import cloudpickle", "imports cloudpickle"),
        ("from ray.cloudpickle import loads", "imports cloudpickle"),
        ("eval('1')", "calls eval"),
        ("re.compile('a')", None),
        ("torch.load(f)", "calls torch.load without weights_only=True"),
        ("torch.load(f, weights_only=False)", "calls torch.load without weights_only=True"),
        ("torch.load(f, weights_only=True)", None),
        ("yaml.load(f, Loader)", "calls yaml.load"),
        ("yaml.safe_load(f)", None),
        ("np.load(f, allow_pickle=True)", "gives allow_pickle"),
        ("A.from_pretrained(m, trust_remote_code=trust)", "gives trust_remote_code"),
        ("A.from_pretrained(m, trust_remote_code=False)", None),
    ],
)
def test_what_is_looked_for_is_found(text: str, expected: str | None) -> None:
    assert list(dangers(ast.parse(text))) == ([f"1: {expected}"] if expected else [])


def test_a_models_own_code_is_not_run_even_where_somebody_at_a_terminal_says_yes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "odd", "auto_map": {"AutoConfig": "odd.Odd"}}')
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Odd", "auto_map": {"AutoTokenizer": ["odd.Odd", null]}}'
    )
    (tmp_path / "odd.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\nclass Odd: pass\n")
    load = f"from oasis_ray.engine.chat_template import Chat; Chat.load({str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", load],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, input="y\n" * 9, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "contains custom code" in done.stderr
    assert not (tmp_path / "it-ran").exists()


URL = "this URL contains a password, token or signature, which would be written to the manifest of the run; set"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "code": ({"pool": {"engine_args": {"trust_remote_code": True}}}, "trust_remote_code is not allowed: Python code"),
    "code, even off": ({"pool": {"engine_args": {"trust_remote_code": False}}}, "trust_remote_code is not allowed: "),
    "code, further in": (
        {"pool": {"engine_args": {"speculative_config": {"hf_overrides": [{"trust_remote_code": 1}]}}}},
        "trust_remote_code is not allowed: ",
    ),
    "pickles": (
        {"pool": {"engine_args": {"load_format": "pt"}}},
        "load_format 'pt' may read pickles, which can contain code",
    ),
    "pickles, perhaps": ({"pool": {"engine_args": {"load_format": "auto"}}}, "load_format 'auto' may read pickles"),
    "a token": ({"pool": {"engine_args": {"hf_token": SECRET}}}, "hf_token is not allowed: it would be written"),
    "a key for its name": ({"pool": {"api_key_env": SECRET}}, "this must be the name of an environment variable"),
    "a key that is no key": ({"pool": {"api_key": SECRET}}, "unknown key"),
    "a server": ({"pool": {"backend": "openai", "url": f"http://me:{SECRET}@host/v1"}}, URL),
    "a server's token": ({"pool": {"backend": "openai", "url": f"https://{SECRET}@host/v1"}}, URL),
    "an input": ({"input": {"path": f"s3://me:{SECRET}@bucket/*.parquet"}}, URL),
    "a chained input": ({"input": {"path": f"simplecache::ftp://me:{SECRET}@host/a.parquet"}}, URL),
    "a signed input": ({"input": {"path": f"https://host/a.parquet?x=1&X-Amz-Signature={SECRET}"}}, URL),
    "a root": ({"input": {"path": "x", "root": f"ftp://me:{SECRET}@host/"}}, URL),
    "an output": ({"output": {"path": f"ftp://me:{SECRET}@host/run"}}, URL),
}


@pytest.mark.parametrize(("keys", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_job_that_holds_a_secret_or_lets_code_in_is_refused_without_showing_it(
    keys: dict[str, Any], expected: str, job_file: Callable[..., Path]
) -> None:
    pool = {"model": "some/model", **keys.get("pool", {})}
    rest = {key: value for key, value in keys.items() if key != "pool"}
    with pytest.raises(JobError) as error:
        load_job(job_file(pools={"vlm": pool, "llm": {"model": "some/model"}}, **rest), SHIPPED)
    (problem,) = error.value.problems
    assert expected in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    "place",
    ["shards/*.parquet", "part-?.parquet", "s3://bucket/a:b@c/*.parquet", "abfs://box@account.dfs.core/x", "hf://d@v/x",
     "https://host:8000/v1", "http://[::1]:8000/v1", "/data/a:b@c", "sftp://me@host/x", "https://host/x?download=true"],
)  # fmt: skip
def test_a_place_without_a_secret_is_taken(place: str) -> None:
    assert (Input(path=place).path, Output(path=place).path) == (place, place)


def test_a_model_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    for name in ("config.json", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    pools = {"vlm": Pool(model=str(tmp_path))}
    assert list(folder_problems(pools)) == [
        (
            f"pools.vlm: model: '{tmp_path}' has its weights as pickles (pytorch_model.bin), which can contain code; "
            "save them as safetensors (save_pretrained of transformers does)"
        )
    ]
    (tmp_path / "model.safetensors").write_text("")
    assert list(folder_problems(pools)) == []
    assert (
        engine_args(Pool(model=str(tmp_path)), str(tmp_path), gpus=False, images=False)["load_format"] == "safetensors"
    )


def test_words_of_data_do_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(markup=False).print("id [/red]\x1b]0;title\x07\x9b31m", soft_wrap=True)
    assert capsys.readouterr().out == "id [/red]\\x1b]0;title\\x07\\x9b31m\n"


def test_an_id_is_never_part_of_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "a/run"
    rows = [ended(id=name) for name in ("../../out", str(tmp_path / "out"), "con/../x.parquet", "\0", "")]
    writer = PartWriter(str(folder), RECIPE, session="5f")
    writer.write([batch(rows, RECIPE, keep_images=False)], 3)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [folder / "accepted/part-5f-000003.parquet"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The base URL of the server that repeats keys."""
    with serving(Echo) as url:
        yield url


def said(url: str, what: str) -> OasisError:
    """The error of an engine whose key is in $OTHER_KEY."""
    engine = OpenAIEngine(Pool(model=str(LLM), backend="openai", url=url, api_key_env="OTHER_KEY"), retries=0)
    with pytest.raises(OasisError) as error:
        asyncio.run(engine.ask(Call(Request("Hi"), "row", 1)) if what == "ask" else engine.check())  # type: ignore[arg-type]
    return error.value


@pytest.mark.parametrize(
    ("path", "what", "expected"),
    [
        ("400/v1", "ask", "request_refused: Error code: 400 - no good: Bearer $OTHER_KEY"),
        ("401/v1", "ask", "{url} rejects the key in $OTHER_KEY: Error code: 401 - no good: Bearer $OTHER_KEY"),
        ("403/v1", "ask", "{url} answers 403: Error code: 403 - no good: Bearer $OTHER_KEY"),
        ("500/v1", "ask", "{url} answers 500: Error code: 500 - no good: Bearer $OTHER_KEY"),
        ("sick/v1", "check", "{url} rejects the key in $OTHER_KEY: Error code: 401 - no good: Bearer $OTHER_KEY"),
    ],
)
def test_a_server_that_repeats_the_key_is_quoted_without_it(
    path: str, what: str, expected: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", SECRET)
    error = said(f"{server}/{path}", what)
    assert str(error) == expected.format(url=f"{server}/{path}")
    assert SECRET not in repr(error)
    assert Echo.keys[-1] == f"Bearer {SECRET}"


@pytest.mark.parametrize("around", ["{}\n", " {}\r\n", "\t{}"])
def test_a_key_from_a_file_is_sent_without_the_space_around_it(
    around: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", around.format(SECRET))
    assert str(said(f"{server}/400/v1", "ask")).endswith("Bearer $OTHER_KEY")
    assert Echo.keys[-1] == f"Bearer {SECRET}"


@pytest.mark.parametrize("inside", ["\n", "é", "\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    inside: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", f"{SECRET}{inside}{SECRET}")
    with pytest.raises(RunError) as error:
        said(f"{server}/400/v1", "ask")
    assert str(error.value) == (
        "the key in $OTHER_KEY contains a character that is invalid in an HTTP header; was it copied correctly?"
    )


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, 0, "2 of 2 rows ended: 0 accepted, 0 captions, 0 rejected, 2 failed"),
        (401, 1, "rejects the key in $OTHER_KEY"),
    ],
)
def test_a_run_leaves_no_key_behind(
    status: int, code: int, told: str, server: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, "a", "b")
    pool = {"backend": "openai", "url": f"{server}/{status}/v1", "api_key_env": "OTHER_KEY", "model": str(VLM)}
    keys = {"OTHER_KEY": SECRET, "OPENAI_API_KEY": SECRET[::-1], "HF_TOKEN": SECRET[::-1]}
    done = call("run", job_file(pools={"vlm": pool, "llm": pool | {"api_key_env": "OPENAI_API_KEY"}}), **keys)
    assert done.returncode == code, done.stderr
    assert told in done.stdout + done.stderr
    assert f"Bearer {SECRET}" in Echo.keys
    texts = texts_below(tmp_path) | {"stdout": done.stdout, "stderr": done.stderr}
    assert holding(texts, SECRET, SECRET[::-1]) == []
    assert any("no good: Bearer $OTHER_KEY" in text for text in texts.values())  # that something was looked at
