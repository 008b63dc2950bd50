"""Options of an export: selection, mixture and order of the rows, format and size of the files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any, Literal, get_args

from oasis_ray.errors import JobError, nearest
from oasis_ray.types import ACCEPTED

FormatName = Literal["llava", "sharegpt", "openai", "swift", "hf", "webdataset"]
Dedup = Literal["none", "text", "image"]
Images = Literal["as-seen", "original", "none"]
SHARDS = ("hf", "webdataset")  # formats whose files hold all columns of a row, and its image
CAPPED = ("origin", "language")
SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*")  # becomes a file name and a split of `datasets`


@dataclass(frozen=True)
class Options:
    """Options of an export. The defaults export every row."""

    format: FormatName
    mix: Mapping[str, float] = field(default_factory=dict)  # rows of a record per accepted row; others: all
    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 1.0})
    caps: Mapping[str, int] = field(default_factory=dict)
    dedup: Dedup = "none"
    seed: int = 0
    limit: int | None = None
    images: Images = "as-seen"
    shard_mb: int = 500
    license: str = "other"
    removed: bool = False  # include rows that the input no longer has
    pairs: bool = False  # a record of each question with its answer

    @property
    def has_values(self) -> bool:
        """Whether the rows of the format have all columns, `scores` and `columns` too."""
        return self.format in SHARDS

    @property
    def reads_texts(self) -> bool:
        """Whether the texts of all rows are needed to select rows."""
        return self.dedup == "text" or "language" in self.caps

    def written(self) -> dict[str, Any]:
        """Return the options as `export.json` records them."""
        return asdict(self)


def read_options(
    format: str,  # noqa: A002  (the option's name)
    *,
    split: str = "train=1",
    caps: Iterable[str] = (),
    dedup: str = "none",
    mix: Iterable[str] = (),
    images: str = "as-seen",
    **others: Any,
) -> Options:
    """Return options from the texts of the command line. Raises JobError with every problem found."""
    problems: list[str] = []
    for option, word, possible in (
        ("--format", format, get_args(FormatName)), ("--dedup", dedup, get_args(Dedup)),
        ("--images", images, get_args(Images)),
    ):  # fmt: skip
        if word not in possible:
            problems.append(f"{option} {word!r} is none of: {', '.join(possible)}.{nearest(word, possible)}")
    ratios = _pairs("--mix", mix, problems, float)
    for name, ratio in ratios.items():
        if name == ACCEPTED:
            problems.append(f"--mix: {ACCEPTED!r} is the record by which the others are measured; name another one")
        elif not 0 <= ratio < inf:
            problems.append(f"--mix {name}={ratio:g} is not a number of rows per accepted row, such as 0.5 or 0")
    splits = _pairs("--split", split.split(","), problems, float)
    for name in splits:
        if not SPLIT_NAME.fullmatch(name):
            problems.append(f"--split: {name!r} is not a valid split name; use lower-case letters, digits and _")
    if not (all(share > 0 for share in splits.values()) and abs(sum(splits.values()) - 1) < 1e-6):
        problems.append(
            f"--split {split!r}: each share must be above 0, and they must sum to 1: train=0.95,validation=0.05"
        )
    limits = _pairs("--cap", caps, problems, int)
    for name, most in limits.items():
        if name not in CAPPED:
            problems.append(f"--cap: {name!r} can't be capped, only {' and '.join(CAPPED)}.{nearest(name, CAPPED)}")
        if most < 1:
            problems.append(f"--cap {name}={most}: the number of rows must be at least 1")
    if problems:
        raise JobError(problems)
    return Options(format, ratios, splits, limits, dedup, images=images, **others)  # type: ignore[arg-type]


def _pairs(option: str, texts: Iterable[str], problems: list[str], kind: type[float] | type[int]) -> dict[str, Any]:
    """Return the NAME=NUMBER pairs among `texts`; add a problem for each text that is none."""
    pairs: dict[str, Any] = {}
    for text in texts:
        name, _, number = (word.strip() for word in text.partition("="))
        try:
            value = kind(number)
        except ValueError:
            problems.append(f"{option} {text!r} is not NAME=NUMBER")
            continue
        if name in pairs:
            problems.append(f"{option}: {name!r} is given twice")
        pairs[name] = value
    return pairs
