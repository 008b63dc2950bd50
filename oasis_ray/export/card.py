"""The data set card of a Hugging Face folder: what the data are, how they were made, from what, and what they are not.

Every value in it is escaped by the template's environment; what models and file names say stays words.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oasis_ray.export.card_facts import Facts

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M")]  # fmt: skip
CITE_AS = """@misc{zhang2025oasis,
  title  = {Oasis: One Image is All You Need for Multimodal Instruction Data Synthesis},
  author = {Letian Zhang and Quan Cui and Bingchen Zhao and Cheng Yang},
  year   = {2025},
  eprint = {2503.08741},
  archivePrefix = {arXiv}
}"""
SPECIAL = re.compile(r"([\\`*_\[\]#|~$<>&:@])")


class Verbatim(str):
    """A text of this project's own, which is not escaped."""


def card(made: dict[str, Any], features: Any, facts: Facts, sizes: dict[str, int]) -> str:
    """README.md: the front matter that the hub and `datasets` read, and the card.

    `sizes`: bytes of the shards, by split.
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
    total = {outcome: sum(split[outcome] for split in made["splits"].values()) for outcome in ("accepted", "captions")}
    text = env.get_template("card.md").render(
        **made,
        total=total,
        facts=facts,
        languages=[f"{name} {share:.1%}" for name, share in facts.languages.items()],
        cite_as=Verbatim(CITE_AS),
    )
    front = yaml.safe_dump(front_matter(made, features, facts, sizes), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n{text}"


def front_matter(made: dict[str, Any], features: Any, facts: Facts, sizes: dict[str, int]) -> dict[str, Any]:
    """The YAML at the head of the card. Its counts are what `datasets` checks on loading."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    rows = {name: sum(kinds.values()) for name, kinds in made["splits"].items()}
    size = next((word for most, word in SIZES if sum(rows.values()) < most), "n>100M")
    known = [name for name in facts.languages if re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?", name)]
    data = DatasetCardData(
        license=made["options"]["license"],
        language=list(dict.fromkeys(name.partition("-")[0] for name in known)),
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=[size],
        tags=["synthetic", "instruction-tuning", "oasis"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"data/{name}-*.parquet"} for name in made["splits"]],
            }
        ],
    )
    infos = SplitDict({name: SplitInfo(name, num_bytes=sizes[name], num_examples=rows[name]) for name in rows})
    whole = sum(sizes.values())
    info = DatasetInfo(features=features, splits=infos, download_size=whole, dataset_size=whole)
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    found: dict[str, Any] = data.to_dict()
    return found


def escaped(value: Any) -> Any:
    """A text as Markdown shows it word for word, in one line; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Verbatim):
        return value
    return SPECIAL.sub(r"\\\1", " ".join(value.split()))
