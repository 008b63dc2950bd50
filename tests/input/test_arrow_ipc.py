"""Serialized batches are deserialized unchanged."""

import pyarrow as pa
import pytest

from oasis_ray.input.arrow_ipc import from_ipc, to_ipc

ROWS = pa.table({"id": ["a", None], "turns": [[{"from": "x"}], []], "image": [b"\0", b""]})


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        ([], []),
        ([ROWS], [ROWS]),
        ([ROWS.slice(1)], [ROWS.slice(1)]),
        ([ROWS, ROWS.slice(0, 0), ROWS], [ROWS, ROWS.slice(0, 0), ROWS]),
    ],
    ids=["none", "one", "a slice", "one of them empty"],
)
def test_batches_survive_serialization(batches: list[pa.Table], found: list[pa.Table]) -> None:
    sealed = pa.concat_tables([to_ipc(batch) for batch in batches]) if batches else pa.table({})
    assert (sealed.num_rows, list(from_ipc(sealed))) == (len(batches), found)


def test_a_slice_is_serialized_without_the_rest_of_its_table() -> None:
    pictures = pa.table({"image": [bytes(1 << 20), bytes(1)]})
    assert to_ipc(pictures.slice(1)).nbytes < 1000
