"""What goes into a sealed packet comes out of it."""

import pyarrow as pa
import pytest

from oasis_ray.input.ipc import seal, unseal

ROWS = pa.table({"id": ["a", None], "turns": [[{"from": "x"}], []], "image": [b"\0", b""]})


@pytest.mark.parametrize(
    ("packets", "found"),
    [
        ([], []),
        ([ROWS], [ROWS]),
        ([ROWS.slice(1)], [ROWS.slice(1)]),
        ([ROWS, ROWS.slice(0, 0), ROWS], [ROWS, ROWS.slice(0, 0), ROWS]),
    ],
    ids=["none", "one", "a slice", "one of them empty"],
)
def test_packets_come_out_as_they_went_in(packets: list[pa.Table], found: list[pa.Table]) -> None:
    sealed = pa.concat_tables([seal(packet) for packet in packets]) if packets else pa.table({})
    assert (sealed.num_rows, list(unseal(sealed))) == (len(packets), found)


def test_a_slice_is_sealed_without_what_it_is_a_slice_of() -> None:
    pictures = pa.table({"image": [bytes(1 << 20), bytes(1)]})
    assert seal(pictures.slice(1)).nbytes < 1000
