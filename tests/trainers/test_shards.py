"""`datasets`, in the versions that trainers bring, and `webdataset` read the shards of exports."""

from pathlib import Path

import pytest

from tests.support.trainers import OWN, expected, exported, load

ROLES = ("human", "gpt")


@pytest.mark.parametrize("environment", [OWN, "swift", "llamafactory"])
def test_datasets_loads_every_row_as_it_was_said_and_seen(environment: str, tmp_path: Path) -> None:
    folder = exported(tmp_path, "hf")
    loaded = load(environment, "load_with_datasets.py", folder, home=tmp_path, cwd=tmp_path, roles=ROLES)
    assert loaded == expected("<image>\n")


def test_webdataset_reads_every_row_as_it_was_said_and_seen(tmp_path: Path) -> None:
    shards = exported(tmp_path, "webdataset") / "data/train-{00000..00000}.tar"
    loaded = load(OWN, "load_with_webdataset.py", shards, home=tmp_path, cwd=tmp_path, roles=ROLES)
    assert loaded == expected("<image>\n")
