"""In every format of an export, trainers open the images as the judges saw them, or on request the originals."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.limits import Limits
from tests.support.ended_rows import row, write_run


def encoded(kind: str, mode: str = "RGB", *, orientation: int | None = None) -> bytes:
    image = PIL.Image.new("RGB", (64, 48), "red")
    image.paste("blue", (0, 24, 64, 48))
    if mode == "RGBA":
        image.putalpha(PIL.Image.linear_gradient("L").resize((64, 48)))
    exif = PIL.Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


IMAGES = {
    "plain": encoded("JPEG"),
    "turned": encoded("JPEG", orientation=6),
    "clear": encoded("PNG", "RGBA"),
    "plain-png": encoded("PNG"),
}


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Path:
    rows = [row(name, f"What is {name}?", "A square.", data) for name, data in IMAGES.items()]
    return write_run(tmp_path / "run", job_file(), rows)


def exported(folder: Path, form: str) -> Iterator[tuple[str, bytes]]:
    """Yield the instruction of each record and the bytes of its image."""
    if form == "hf":
        for table in (pq.read_table(path) for path in folder.glob("data/*.parquet")):
            yield from ((one["instruction"], one["image"]["bytes"]) for one in table.to_pylist())
        return
    if form == "webdataset":
        for path in folder.glob("data/*.tar"):
            with tarfile.open(path) as tar:
                files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
            for name in (name for name in files if name.endswith(".json")):
                image = next(files[other] for other in files if other[:10] == name[:10] and other != name)
                yield json.loads(files[name])["instruction"], image
        return
    text = (folder / ("train.json" if form == "llava" else "train.jsonl")).read_text(encoding="utf-8")
    records: list[Any] = json.loads(text) if form == "llava" else [json.loads(line) for line in text.splitlines()]
    for record in records:
        turns = record.get("conversations") or record["messages"]
        content = turns[0].get("value") or turns[0]["content"]
        path = record.get("image") or (record.get("images") or [None])[0]
        if form == "openai":
            path, content = content[0]["image_url"]["url"], content[1]["text"]
        yield content.removeprefix("<image>").strip(), (folder / path).read_bytes()


def trained(data: bytes) -> np.ndarray:
    """Return the pixels as trainers do: LLaVA, LLaMA-Factory and ms-swift convert what Pillow opens."""
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"), np.int16)


@pytest.mark.parametrize("form", ["llava", "sharegpt", "openai", "swift", "hf", "webdataset"])
def test_a_trainer_opens_the_image_that_the_judges_saw(form: str, run: Path, tmp_path: Path) -> None:
    summary = export([str(run)], str(tmp_path / "out"), read_options(form))
    found = {question.split()[2].rstrip("?"): data for question, data in exported(summary.folder, form)}
    assert {name: data for name, data in found.items() if name.startswith("plain")} == {
        name: data for name, data in IMAGES.items() if name.startswith("plain")
    }
    for name, data in IMAGES.items():
        judged = np.asarray(decode(admit(data, Limits())), np.int16)
        assert trained(found[name]).shape == judged.shape
        assert np.abs(trained(found[name]) - judged).max() <= (12 if name == "turned" else 0)
    assert json.loads((summary.folder / "export.json").read_text())["images"] == {
        "as": "as-seen",
        "rows_that_differ": 2,
    }
    assert summary.notes == ["images re-encoded as the judges saw them (upright, on white, 8-bit): 2"]


@pytest.mark.parametrize("form", ["llava", "hf"])
def test_original_images_are_exported_on_request_and_those_that_differ_are_counted(
    form: str, run: Path, tmp_path: Path
) -> None:
    summary = export([str(run)], str(tmp_path / "out"), read_options(form, images="original"))
    found = {question.split()[2].rstrip("?"): data for question, data in exported(summary.folder, form)}
    assert found == IMAGES
    assert json.loads((summary.folder / "export.json").read_text())["images"] == {
        "as": "original",
        "rows_that_differ": 2,
    }
    (note,) = summary.notes
    assert note.startswith("2 rows have an image that trainers open differently from what the judges saw ")
    if form == "hf":
        assert note in (summary.folder / "README.md").read_text(encoding="utf-8").replace("&#39;", "'")


def test_an_unknown_value_of_images_is_refused_with_a_suggestion() -> None:
    with pytest.raises(JobError) as error:
        read_options("llava", images="as_seen")
    assert error.value.problems == ("--images 'as_seen' is none of: as-seen, original, none. Did you mean 'as-seen'?",)
