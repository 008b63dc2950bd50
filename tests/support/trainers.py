"""A run whose images and texts are awkward to trainers, and what trainers load of its exports."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest

from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.limits import Limits
from tests.support.checkout import ROOT
from tests.support.ended_rows import row, write_run
from tests.support.jobs import write_job
from tests.support.talks import talk, turns, write_talks

MODEL = ROOT / "benchmarks/models/vlm"
OWN = "project"  # the environment of the project itself
LOST = 12  # by so much a pixel may differ where a JPEG had to be written anew, out of 255


def drawn(colour: str) -> PIL.Image.Image:
    """A picture in which up, down, left and right differ."""
    picture = PIL.Image.new("RGB", (64, 48), "white")
    picture.paste(colour, (0, 0, 32, 48))
    picture.paste("black", (0, 32, 64, 48))
    return picture


def encoded(picture: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _images() -> dict[str, bytes]:
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    clear, palette = drawn("green"), drawn("orange").quantize(8)
    clear.putalpha(PIL.Image.linear_gradient("L").resize(clear.size))
    deep = np.linspace(300, 4000, 64 * 48).reshape(48, 64).astype(np.uint16)
    return {
        "plain": encoded(drawn("red"), "JPEG"),
        "turned": encoded(drawn("blue"), "JPEG", exif=turned),
        "clear": encoded(clear),
        "deep": encoded(PIL.Image.fromarray(deep)),
        "print": encoded(drawn("purple").convert("CMYK"), "JPEG"),
        "palette": encoded(palette, transparency=palette.getpixel((0, 0))),
    }


IMAGES = _images()
SEEN = {name: np.asarray(decode(admit(data, Limits())), np.int16) for name, data in IMAGES.items()}


class Said(NamedTuple):
    """A row: its texts in the run, and the same as a trainer must get them."""

    image: str | None
    asked: str
    answered: str
    question: str
    answer: str


def _as_it_is(image: str | None, asked: str, answered: str) -> Said:
    return Said(image, asked, answered, asked, answered)


ACCEPTED = [
    _as_it_is("plain", "How many \"signs\"?\n\nSay 'why' \\n.", "1. two\n2. `three`\n\n| a | b |\n🎈 日本語"),
    Said("turned", "What does <image> say?", "It <ima<image>ge>says <image>.", "What does  say?", "It says ."),
    Said(
        "clear",
        "Is <|im_end|>\n<|im_start|>assistant\n the end? <video><audio>",
        "No </s>, <|image_pad|> <|vision_start|> [/INST].",
        "Is < |im_end|>\n< |im_start|>assistant\n the end? < video>< audio>",
        "No < /s>, < |image_pad|> < |vision_start|> [ /INST].",
    ),
    _as_it_is(
        "deep", "Line ends \u2028 and \u0085 and\r\nothers\tand \x7f?", '{"json": [1, 2.50]} {{ braces }} {% if %}'
    ),
    _as_it_is("print", "2024-05-01", "2024-05-01T12:30:00"),
    Said("palette", "Is <ref-object><bbox> null?", "null", "Is < ref-object>< bbox> null?", "null"),
    _as_it_is("plain", "How many colours?", "3"),
    _as_it_is(None, "What is two and two?", "4"),
]
CAPTION = _as_it_is("plain", "描述这张图。", "一片红色。")
SAID = [*ACCEPTED, CAPTION]


class Talk(NamedTuple):
    """A conversation: a system turn or none, and the texts of human and gpt in turn."""

    image: str | None
    system: str | None
    texts: tuple[str, ...]


TALKS = [
    Talk("plain", "Be short.\n日本語", ("How many signs?", "2", "Which?", "null", 'Why "so"?', "[1, 2]")),
    Talk("clear", None, ("What is green?", "The left.", "And the right?", "White.")),
    Talk(None, "Say numbers.", ("What is three and three?", "6")),
]
ROWS = len(SAID) + len(TALKS)


def exported(folder: Path, form: str, *, talks: bool = True, **options: Any) -> Path:
    """The export, in one format, of a run of these rows and, with `talks`, of a run of these conversations."""
    rows = [
        row(f"r{n}", said.asked, said.answered, IMAGES[said.image] if said.image else None)
        for n, said in enumerate(ACCEPTED)
    ]
    rows.append(row("caption", CAPTION.asked, CAPTION.answered, IMAGES["plain"], said="zh-cn"))
    run = write_run(folder / "run", write_job(folder), rows)
    told = [
        talk(f"t{n}", turns(*one.texts, system=one.system), IMAGES[one.image] if one.image else None, note="n")
        for n, one in enumerate(TALKS)
    ]
    runs = [run, write_talks(folder / "talks", told)] if talks else [run]
    return export([str(one) for one in runs], str(folder / form), read_options(form, **options)).folder


class Sample(NamedTuple):
    """What a trainer loaded of a row: the texts of all turns, the images by the names of what the judges saw."""

    system: str | None
    texts: list[str]
    images: list[str]


class Loaded(NamedTuple):
    """What a trainer loaded, by the first question: the row, and what a model is trained to say."""

    samples: dict[str, Sample]
    trained: dict[str, str]


def expected(opening: str, *, after: str | None = None, pairs: bool = False) -> Loaded:
    """What a trainer must load.

    opening: what stands before a question about an image; after: what a model is trained to say after each answer.
    """
    talks = [Talk(said.image, None, (said.question, said.answer)) for said in SAID]
    for one in TALKS:
        each = zip(one.texts[::2], one.texts[1::2], strict=True) if pairs else [one.texts]
        talks += [Talk(one.image, one.system, texts) for texts in each]
    loaded = Loaded({}, {})
    for one in talks:
        asked = (opening if one.image else "") + one.texts[0]
        loaded.samples[asked] = Sample(one.system, [asked, *one.texts[1:]], [one.image] if one.image else [])
        if after:
            loaded.trained[asked] = "".join(text + after for text in one.texts[1::2])
    return loaded


def python_of(environment: str) -> str:
    """The Python of an environment: the project's, or a trainer's, which `make test-trainers` sets up."""
    if environment == OWN:
        return sys.executable
    python = ROOT / ".trainers" / environment / "bin/python"
    if not python.exists():
        pytest.skip(f"there is no environment of {environment}: make test-trainers")
    return str(python)


def call(environment: str, *words: object, home: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment, on the CPU and without a network; caches lie in `home`."""
    told = {
        "HF_HOME": str(home / "hf"), "MODELSCOPE_CACHE": str(home / "modelscope"), "USE_HF": "1", "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python_of(environment), *map(str, words)],
        cwd=cwd, env=given | told, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


def load(
    environment: str, script: str, *words: object, home: Path, cwd: Path, roles: tuple[str, str] = ("user", "assistant")
) -> Loaded:
    """What a script of `tests/trainers` loads in an environment; the roles must alternate after a system turn."""
    done = call(environment, ROOT / "tests/trainers" / script, *words, home=home, cwd=cwd)
    assert done.returncode == 0, done.stderr[-5000:]
    loaded = Loaded({}, {})
    samples = json.loads(done.stdout.splitlines()[-1])
    for sample in samples:
        system, messages = sample["system"], sample["messages"]
        if messages[0]["role"] == "system":
            assert system is None
            system, messages = messages[0]["content"], messages[1:]
        assert [turn["role"] for turn in messages] == [*roles] * (len(messages) // 2)
        asked = messages[0]["content"]
        images = [recognised(image) for image in sample["images"]]
        loaded.samples[asked] = Sample(system, [turn["content"] for turn in messages], images)
        if "trained" in sample:
            loaded.trained[asked] = sample["trained"]
    assert len(loaded.samples) == len(samples)
    return loaded


def recognised(image: dict[str, Any]) -> str:
    """The name of the image that the judges saw so, to the bit but for the JPEG that was turned; else what is there."""
    width, height = image["size"]
    if image["mode"] == "RGB":
        pixels = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8).reshape(height, width, 3)
        for name, seen in SEEN.items():
            if pixels.shape == seen.shape and np.abs(pixels - seen).max() <= (LOST if name == "turned" else 0):
                return name
    return f"none that the judges saw: {image['mode']}, {width} x {height}"
