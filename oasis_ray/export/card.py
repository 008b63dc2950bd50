"""Data set card of a Hugging Face folder: contents, origin, statistics and limits of the data.

The template's environment escapes every value, so that names of models and files can't act as Markdown. What the card
says of the method is what the runs' recipes say (`about`, `cite`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oasis_ray.export.card_facts import Facts
from oasis_ray.export.provenance import distinct
from oasis_ray.export.values import STRUCTS, listed

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M")]  # fmt: skip
SPECIAL = re.compile(r"([\\`*_\[\]#|~$<>&:@])")


class Verbatim(str):
    """Markdown written by this module, which is not escaped."""


def card(
    manifest: dict[str, Any],
    features: Any,
    structs: Mapping[str, pa.StructType],
    facts: Facts,
    sizes: dict[str, int],
) -> str:
    """Return README.md: the front matter that the hub and `datasets` read, and the card.

    `structs` are the types of `scores` and `columns`, `sizes` the bytes of the shards, by split.
    """
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        finalize=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (Markdown is written, and `finalize` escapes for it)
    )
    text = env.get_template("card.md").render(
        **manifest,
        rows=sum(sum(split.values()) for split in manifest["splits"].values()),
        abouts=distinct(manifest, "about"),
        citations=[code_block("bibtex", text) for text in distinct(manifest, "cite")],
        facts=facts,
        values={struct: listed(structs, struct) for struct in STRUCTS},
        languages=[f"{name} {share:.1%}" for name, share in facts.languages.items()],
    )
    front = yaml.safe_dump(front_matter(manifest, features, facts, sizes), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n{text}"


def front_matter(manifest: dict[str, Any], features: Any, facts: Facts, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the YAML at the head of the card. `datasets` checks its counts on loading."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    rows = {name: sum(kinds.values()) for name, kinds in manifest["splits"].items()}
    size = next((word for most, word in SIZES if sum(rows.values()) < most), "n>100M")
    known = [name for name in facts.languages if re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?", name)]
    data = DatasetCardData(
        license=manifest["options"]["license"],
        language=list(dict.fromkeys(name.partition("-")[0] for name in known)),
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=[size],
        tags=["synthetic", "instruction-tuning", *distinct(manifest, "recipe")],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"data/{name}-*.parquet"} for name in manifest["splits"]],
            }
        ],
    )
    infos = SplitDict({name: SplitInfo(name, num_bytes=sizes[name], num_examples=rows[name]) for name in rows})
    total_bytes = sum(sizes.values())
    info = DatasetInfo(features=features, splits=infos, download_size=total_bytes, dataset_size=total_bytes)
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    matter: dict[str, Any] = data.to_dict()
    return matter


def code_block(language: str, text: str) -> Verbatim:
    """Return a code block that ends at no run of backticks in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return Verbatim(f"{fence}{language}\n{text.strip()}\n{fence}")


def escaped(value: Any) -> Any:
    """Escape a text, so that Markdown shows it verbatim in one line; return anything else unchanged."""
    if not isinstance(value, str) or isinstance(value, Verbatim):
        return value
    return SPECIAL.sub(r"\\\1", " ".join(value.split()))
