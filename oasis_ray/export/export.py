"""Export: selects rows of runs and writes them as a data set, atomically.

Everything is written into a hidden folder beside the target, which is renamed when it is complete.
"""

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from oasis_ray.errors import JobError, RunError
from oasis_ray.export import messages
from oasis_ray.export.card import card
from oasis_ray.export.card_facts import Facts
from oasis_ray.export.croissant import croissant
from oasis_ray.export.images import name_of, store_image
from oasis_ray.export.options import Options
from oasis_ray.export.provenance import Exported, describe, rows_have
from oasis_ray.export.row_columns import RowColumns
from oasis_ray.export.run_names import run_names
from oasis_ray.export.selection import choose
from oasis_ray.export.shards import features, write_parquet, write_tars
from oasis_ray.export.shuffle import Shuffle
from oasis_ray.output.manifest import read_manifest
from oasis_ray.storage import check_target, expand

LINES = {"sharegpt": messages.sharegpt, "openai": messages.openai, "swift": messages.swift}


def export(folders: list[str], out: str, options: Options) -> Exported:
    """Write an export of these runs to the local folder `out`.

    Raises JobError for an unusable run or target, or if the options leave no row; RunError if a part can't be read or a
    file can't be written. After an error nothing is left behind.
    """
    began = time.monotonic()
    target = _target(out)
    _check(folders)
    selection = choose(folders, options)
    working = target.parent / f".{target.name}.{os.getpid()}"
    try:
        working.mkdir(parents=True)
        manifest = describe(folders, selection, options)
        packed = options.images != "none" and options.has_values
        keep = None if options.images == "none" else name_of if packed else partial(store_image, working)
        columns = RowColumns(
            selection, run_names(folders), packed=packed, keep=keep, original=options.images == "original",
            full=options.has_values,
        )  # fmt: skip
        shuffle = Shuffle(selection, columns)
        buckets = working / ".buckets"
        buckets.mkdir()
        shuffle.spill(buckets)
        manifest["images"] = {"as": options.images, "rows_that_differ": columns.differing}
        manifest["texts"] = {"rows_changed": columns.texts_changed}
        manifest["notes"] += _notes(columns, options)
        _write(working, shuffle, manifest, options, selection.structs, packed=packed)
        buckets.rmdir()
        _write_json(working / "export.json", manifest)
        files = _files(working)
        working.replace(target)
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{out} can't be written, or a part can't be read: {error}") from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    seconds = time.monotonic() - began
    return Exported(target, manifest["splits"], selection.left_out, manifest["notes"], files, seconds)


def _write(
    folder: Path,
    shuffle: Shuffle,
    manifest: dict[str, Any],
    options: Options,
    structs: Mapping[str, pa.StructType],
    *,
    packed: bool,
) -> None:
    """Write the files of one format. `structs` are the types of `scores` and `columns`."""
    shard_bytes = options.shard_mb * 1_000_000
    if options.format == "hf":
        columns, facts = features(structs, packed=packed), Facts()
        for split in manifest["splits"]:
            rows = facts.watch(shuffle.rows(split))
            write_parquet(folder, split, rows, columns.arrow_schema, shard_bytes, packed=packed)
        sizes = {
            split: sum(path.stat().st_size for path in folder.glob(f"data/{split}-*")) for split in manifest["splits"]
        }
        (folder / "README.md").write_text(card(manifest, columns, structs, facts, sizes), encoding="utf-8")
        _write_json(folder / "croissant.json", croissant(folder, manifest, structs))
        return
    for split in manifest["splits"]:
        rows = shuffle.rows(split)
        if options.format == "webdataset":
            write_tars(folder, split, rows, shard_bytes)
        elif options.format == "llava":
            messages.write_list(folder / f"{split}.json", rows, messages.llava)
        else:
            messages.write_lines(folder / f"{split}.jsonl", rows, LINES[options.format])
    if options.format == "sharegpt":
        info = messages.dataset_info(manifest["runs"][0]["recipe"], manifest["splits"])
        _write_json(folder / "dataset_info.json", info)


def _notes(columns: RowColumns, options: Options) -> Iterator[str]:
    """Yield notes on what is different in the export from what is in the runs."""
    if columns.texts_changed:
        yield (
            f"{rows_have(columns.texts_changed)} texts with placeholders or special tokens that trainers interpret "
            "(<image>, <video>, <|im_end|>); in the turns <image> was removed, and others got a space: < video>"
        )
    if columns.with_system and options.format == "llava":
        yield (
            f"{rows_have(columns.with_system)} a system turn, which LLaVA's loader does not take; its text is under "
            "the key `system`"
        )
    if columns.differing:
        yield _images_note(options, columns.differing)
    if columns.without_path:
        yield (
            f"{rows_have(columns.without_path)} the image's SHA-256 in place of its path: the input gave none that "
            "stays below its folder"
        )


def _images_note(options: Options, rows: int) -> str:
    if options.images == "original":
        return (
            f"{rows_have(rows)} an image that trainers open differently from what the judges saw (rotated, "
            "transparent, 16-bit); --images as-seen exports it as the judges saw it"
        )
    return f"images re-encoded as the judges saw them (upright, on white, 8-bit): {rows}"


def _target(out: str) -> Path:
    if "://" in out:
        raise JobError([f"--out {out}: an export is written to a local folder; copy it from there"])
    check_target("--out", out)
    target = Path(expand(out)).absolute()
    if target.exists() and any(target.iterdir()):
        raise JobError([f"--out {out} exists and is not empty; choose another folder or remove this one"])
    return target


def _check(folders: list[str]) -> None:
    problems = [f"{folder} is given twice" for folder, count in Counter(map(expand, folders)).items() if count > 1]
    for folder in folders:
        try:
            read_manifest(folder)
        except JobError as error:
            problems.extend(error.problems)
    if problems:
        raise JobError(problems)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the number of files and their bytes by kind: `data/train-*.parquet`, `images/*`, `train.jsonl`."""
    files: dict[str, tuple[int, int]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        kind = "images/*" if name.startswith("images/") else re.sub(r"-\d{5}\.", "-*.", name)
        count, size = files.get(kind, (0, 0))
        files[kind] = (count + 1, size + path.stat().st_size)
    return files


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
