"""Each export is read by the library that will load it, and has the run's texts, images and scores."""

import io
import json
import tarfile
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
import PIL.Image
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.export.export import export
from oasis_ray.export.options import FormatName, read_options
from oasis_ray.job.load import load_job
from oasis_ray.output.record import record
from oasis_ray.recipe.recipe import Ref
from oasis_ray.recipe.row import Row
from tests.support.checkout import ROOT
from tests.support.ended_rows import row, write_run
from tests.support.shards import picture

FORMATS = get_args(FormatName)
WORDS = "日本語 🎈 \"quotes\" \\back\\ 'n' tabs\tand\r\nlines \u2028 and \u0085 | pipes | <b>bold</b> {{ braces }}"
TEAL, RED, BLUE, OAK = (
    picture("teal"),
    picture("red", kind="JPEG"),
    picture("blue", kind="WEBP"),
    picture("tan", kind="GIF"),
)
ROWS = [
    row("a/../../etc/passwd", "How many?", "Two.", TEAL, path="../../x.png"),
    row("日本 🎈.png", WORDS, WORDS[::-1], RED, path="/etc/passwd", origin="web"),
    row("x.y.z", "What does <image> say?", "It <ima<image>ge> says <image>.", BLUE, path="a/b.webp", origin="web"),
    row("long", "word " * 20_000, "x" * 100_000, OAK, path="C:\\x"),
    row("again", "And the same picture?", "Yes.", TEAL, path="s3://bucket/x"),
    row("no picture", "What is two and two?", "Four."),
    row("c1", "Describe it.", "A red field.", RED, said="en", path="ok/red.jpg"),
    row("c2", "描述", "一片红色。", RED, said="zh-cn", sure=False, path="ok/red.jpg"),
]  # fmt: skip
INSTRUCTION = (Ref("categorize", "instruction"), Ref("pair", "instruction"))
SUFFIXES = {TEAL: "png", RED: "jpg", BLUE: "webp", OAK: "gif"}


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Path:
    return write_run(tmp_path / "run [1]", job_file(), ROWS)


def of(run: Path, form: str, name: str = "out", **options: Any) -> Path:
    export([str(run)], str(run.parent / name), read_options(form, **options))
    return run.parent / name


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def turns(ended: Row) -> list[dict[str, str]]:
    """Return the row's conversation as the run has it."""
    recipe = load_job(ROOT / "cluster/jobs/demo.yaml", SHIPPED)[1]
    return record(ended, recipe, keep_images=False)["conversations"]  # type: ignore[no-any-return]


def name_of(data: bytes) -> str:
    digest = sha256(data).hexdigest()
    return f"images/{digest[:2]}/{digest}.{SUFFIXES[data]}"


def held(ended: Row) -> bytes | None:
    return ended.image["bytes"] if ended.image else None


CONVERSATIONS = {ended.id: (turns(ended), held(ended)) for ended in ROWS}


def test_llava_loads_it(run: Path) -> None:
    folder, found = of(run, "llava"), {}
    for sample in json.load((folder / "train.json").open()):  # as LazySupervisedDataset does
        data = None
        if "image" in sample:
            PIL.Image.open(folder / sample["image"]).convert("RGB")
            data = (folder / sample["image"]).read_bytes()
        assert sum(turn["value"].count("<image>") for turn in sample["conversations"]) == ("image" in sample)
        assert [turn["from"] for turn in sample["conversations"]] == ["human", "gpt"]
        found[sample["id"]] = (sample["conversations"], data)
    assert found == CONVERSATIONS
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"train.json", "export.json", *(name_of(data) for data in (TEAL, RED, BLUE, OAK))}


def test_llama_factory_loads_sharegpt(run: Path) -> None:
    import datasets

    folder = of(run, "sharegpt", split="train=0.5,validation=0.5")
    info, found = json.loads((folder / "dataset_info.json").read_text()), {}
    assert list(info) == ["oasis_train", "oasis_validation"]
    for entry in info.values():
        columns, tags = entry["columns"], entry["tags"]
        rows = datasets.load_dataset(
            "json", data_files=str(folder / entry["file_name"]), cache_dir=str(run.parent / "c")
        )
        for sample in rows["train"]:
            messages, images = sample[columns["messages"]], sample[columns["images"]]
            roles = [tags["user_tag"], tags["assistant_tag"]]
            assert [message[tags["role_tag"]] for message in messages] == roles
            assert sum(message[tags["content_tag"]].count("<image>") for message in messages) == len(images)
            found[sample["id"]] = (messages, next(((folder / path).read_bytes() for path in images), None))
    assert (entry["formatting"], found) == ("sharegpt", CONVERSATIONS)


def test_swift_loads_it(run: Path) -> None:
    folder, found = of(run, "swift"), {}
    for line in (folder / "train.jsonl").read_text("utf-8").splitlines():
        sample = json.loads(line)
        assert sum(message["content"].count("<image>") for message in sample["messages"]) == len(sample["images"])
        found[sample["id"]] = sample["messages"], sample["images"]
    assert found == {
        name: (
            [{"role": "user", "content": asked["value"].replace("<image>\n", "<image>")},
             {"role": "assistant", "content": answered["value"]}],
            [name_of(data)] if data else [],
        )
        for name, ((asked, answered), data) in CONVERSATIONS.items()
    }  # fmt: skip


def test_openai_takes_its_messages(run: Path) -> None:
    from openai.types.chat import ChatCompletionMessageParam
    from pydantic import TypeAdapter

    folder, found = of(run, "openai"), []
    for line in (folder / "train.jsonl").read_text("utf-8").splitlines():
        sample = json.loads(line)
        TypeAdapter(list[ChatCompletionMessageParam]).validate_python(sample["messages"])
        found.append(sample)
    expected = []
    for (asked, answered), data in CONVERSATIONS.values():
        image = [{"type": "image_url", "image_url": {"url": name_of(data)}}] if data else []
        words = [{"type": "text", "text": asked["value"].removeprefix("<image>\n")}]
        answer = [{"type": "text", "text": answered["value"]}]
        turns = [{"role": "user", "content": image + words}, {"role": "assistant", "content": answer}]
        expected.append({"messages": turns})
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))


@pytest.mark.parametrize("form", ["openai", "sharegpt", "swift", "llava"])
def test_an_answer_that_reads_as_json_stays_a_text_for_datasets(
    form: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    import datasets

    answers = ["4", "12.50", "null", "true", "[1, 2]", '{"a": 1.0}', '"quoted"', "2024-05-01"]
    rows = [row(f"r{n}", f"Question {n}?", answer, TEAL) for n, answer in enumerate(answers)]
    folder = of(write_run(tmp_path / "run", job_file(), rows), form)
    file = str(folder / ("train.json" if form == "llava" else "train.jsonl"))
    found = []
    for sample in datasets.load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache")):
        turn = (sample.get("conversations") or sample["messages"])[1]
        content = turn["value"] if "value" in turn else turn["content"]
        found.append(content[0]["text"] if form == "openai" else content)
    assert sorted(found) == sorted(answers)


def test_datasets_loads_it_with_images(run: Path) -> None:
    import datasets

    folder = of(run, "hf", split="train=0.5,validation=0.5", shard_mb=1)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(run.parent / "cache"))
    summary = json.loads((folder / "export.json").read_text())
    assert {name: len(rows) for name, rows in loaded.items()} == {
        name: sum(kinds.values()) for name, kinds in summary["splits"].items()
    }
    assert loaded["train"].features["image"] == datasets.Image()
    assert all(sample["image"].size == (112, 112) for sample in loaded["train"] if sample["image"])
    found = {
        sample["id"]: (sample["conversations"], sample["image"] and sample["image"]["bytes"])
        for rows in loaded.values()
        for sample in rows.cast_column("image", datasets.Image(decode=False))
    }
    assert found == CONVERSATIONS
    rows = {
        sample["id"]: sample for part in loaded.values() for sample in part.remove_columns(["image", "conversations"])
    }
    axes = ["solvability", "clarity", "hallucination", "nonsense", "language", "information", "coherence"]
    assert rows["x.y.z"] == {
        "id": "x.y.z", "data_source": "oasis", "instruction": "What does <image> say?",
        "response": "It <ima<image>ge> says <image>.", "scores": dict.fromkeys(axes[:4], 5) | dict.fromkeys(axes[4:]),
        "origin": "web", "language": None, "run": "run [1]", "image_sha256": sha256(BLUE).hexdigest(),
    }  # fmt: skip
    assert rows["c2"]["scores"] == dict.fromkeys(axes[:4]) | dict.fromkeys(axes[4:], 4)
    assert [rows[name]["language"] for name in ("c1", "c2")] == ["en", "unsure"]


def test_the_hub_reads_the_card(run: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(of(run, "hf", license="cc-by-4.0") / "README.md")
    front = card.data.to_dict()
    assert [front[key] for key in ("license", "size_categories", "configs")] == [
        "cc-by-4.0", ["n<1K"],
        [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    ]  # fmt: skip
    assert front["dataset_info"]["splits"][0]["num_examples"] == len(ROWS)
    words = [len(ended.value(INSTRUCTION).split()) for ended in ROWS]
    lengths = f"| instruction | {int(np.median(words))} | {int(np.percentile(words, 95))} | {max(words)} |"
    for text in (
        "8 instructions with responses, each with its image.", "| accepted | oasis | 6 |", "2503.08741", lengths,
        "| captions | oasis\\_caption | 2 |", "Outcomes of 8 images: 6 accepted, 2 captions, 0 rejected, 0 failed.",
        "### Run run \\[1\\]", "| gate | rejected | score\\_1 | 3 |", "| vlm | script |",
        "None: every record of the runs is included.",
    ):  # fmt: skip
        assert text in card.text, text


def test_croissant_is_valid_and_reads_the_shards(run: Path) -> None:
    import mlcroissant

    folder = of(run, "hf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        described = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert described.metadata.issues.errors == set()
    found = {
        sample["rows/id"].decode(): (
            [{"from": who.decode(), "value": text.decode()}
             for who, text in zip(sample["rows/conversations/from"], sample["rows/conversations/value"], strict=True)],
            sample["rows/image"] and sample["rows/image"].size,
        )
        for sample in described.records("rows")
    }  # fmt: skip
    assert found == {name: (turns, data and (112, 112)) for name, (turns, data) in CONVERSATIONS.items()}
    files = json.loads((folder / "croissant.json").read_text())["distribution"]
    digests = {file["contentUrl"]: file["sha256"] for file in files if "sha256" in file}
    assert digests == {f"data/{path.name}": sha256(path.read_bytes()).hexdigest() for path in folder.glob("data/*")}


def test_webdataset_reads_it(run: Path) -> None:
    import webdataset

    folder, found = of(run, "webdataset"), {}
    for sample in webdataset.WebDataset(str(folder / "data/train-00000.tar"), shardshuffle=False):
        record = json.loads(sample["json"])
        data = next((sample[suffix] for suffix in SUFFIXES.values() if suffix in sample), None)
        found[record["id"]] = (record["conversations"], data)
    assert found == CONVERSATIONS
    with tarfile.open(folder / "data/train-00000.tar") as tar:
        assert {(member.mtime, member.uid, member.uname, member.mode) for member in tar} == {(0, 0, "", 0o644)}
    decoded = webdataset.WebDataset(str(folder / "data/train-00000.tar"), shardshuffle=False).decode("pil")
    assert {sample["png"].size for sample in decoded if "png" in sample} == {(112, 112)}


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_shards_are_cut_by_size_and_have_every_row_once(
    form: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    noise, rows = np.random.default_rng(0), []
    for n in range(250):
        buffer = io.BytesIO()
        PIL.Image.fromarray(noise.integers(0, 256, (60, 60, 3), np.uint8)).save(buffer, "PNG")
        rows.append(row(f"r{n}", f"How many {n}?", "Two.", buffer.getvalue()))
    run = write_run(tmp_path / "run", job_file(), rows, a_part=130)
    folder = of(run, form, shard_mb=1)
    shards = sorted(folder.glob("data/train-*"))
    assert [path.stat().st_size // 1_000_000 for path in shards][:-1] == [1] * (len(shards) - 1)
    assert len(shards) > 1
    summary = json.loads((folder / "export.json").read_text())
    if form == "webdataset":
        import webdataset

        names = [
            json.loads(sample["json"])["id"]
            for sample in webdataset.WebDataset([str(path) for path in shards], shardshuffle=False)
        ]
    else:
        import pyarrow.parquet as pq

        names = [name for path in shards for name in pq.read_table(path)["id"].to_pylist()]
    assert (sorted(names), summary["splits"]) == (
        sorted(row.id for row in rows),
        {"train": {"accepted": 250, "captions": 0}},
    )


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_rows_give_the_same_bytes_however_they_are_divided_into_parts(
    form: str, run: Path, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    other = write_run(tmp_path / "other" / run.name, job_file(), ROWS[::-1], a_part=3)
    options = {"split": "train=0.5,validation=0.5", "mix": ["captions=0.2"], "seed": 3}
    first, again, otherwise = (content(of(r, form, n, **options)) for r, n in ((run, "x"), (run, "y"), (other, "z")))
    assert first == again == otherwise
    assert first != content(of(run, form, "w", **options | {"seed": 4}))


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_through_many_buckets_is_the_same(form: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content(of(run, form, "one", split="train=0.5,validation=0.5"))
    monkeypatch.setattr("oasis_ray.export.shuffle.BUCKET_BYTES", 1)
    assert content(of(run, form, "many", split="train=0.5,validation=0.5")) == first


@pytest.mark.parametrize("form", FORMATS)
def test_without_images_rows_name_the_inputs_paths_that_stay_inside(form: str, run: Path) -> None:
    import datasets
    import webdataset

    summary = export([str(run)], str(run.parent / "out"), read_options(form, images="none"))
    read: dict[str, Callable[[], Any]] = {
        "llava": lambda: (s.get("image") for s in json.loads((summary.folder / "train.json").read_text())),
        "sharegpt": lambda: (next(iter(s["images"]), None) for s in lines()),
        "swift": lambda: (next(iter(s["images"]), None) for s in lines()),
        "openai": lambda: (
            c[0]["image_url"]["url"] if "image_url" in c[0] else None
            for c in (s["messages"][0]["content"] for s in lines())
        ),
        "hf": lambda: datasets.load_dataset(str(summary.folder), cache_dir=str(run.parent / "cache"))["train"]["image"],
        "webdataset": lambda: (
            json.loads(s["json"]).get("image")
            for s in webdataset.WebDataset(str(summary.folder / "data/train-00000.tar"), shardshuffle=False)
        ),
    }

    def lines() -> list[Any]:
        return [json.loads(line) for line in (summary.folder / "train.jsonl").read_text("utf-8").splitlines()]

    digests = [sha256(data).hexdigest() for data in (TEAL, TEAL, RED, OAK)]
    assert sorted(read[form](), key=str) == sorted(["a/b.webp", "ok/red.jpg", "ok/red.jpg", None, *digests], key=str)
    assert not (summary.folder / "images").exists()
    note = "4 rows have the image's SHA-256 in place of its path: the input gave none that stays below its folder"
    assert summary.notes[-1] == note
