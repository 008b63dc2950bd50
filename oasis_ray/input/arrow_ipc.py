"""Batches on their way from task to task: sealed, as one value of bytes.

Ray serializes Arrow tables array by array, in Python, and a batch has an array for each column of each outcome: eight
rows take 45 ms of CPU, and 18 ms to read back. As Arrow's own stream they take half a millisecond
(docs/decisions/0044-arrow-ipc.md).
"""

from collections.abc import Iterator
from struct import pack

import pyarrow as pa

COLUMN = "batch"


def to_ipc(batch: pa.Table) -> pa.Table:
    """The batch as a table of one row and one column, `batch`: Arrow's stream of it."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_table(batch)
    content = stream.getvalue()
    ends = pa.py_buffer(pack("<2q", 0, content.size))
    return pa.table({COLUMN: pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, content])})


def from_ipc(sealed: pa.Table) -> Iterator[pa.Table]:
    """The batches in a table of sealed ones, without a copy of what they hold; none where it has no rows."""
    # A task that had nothing to read, or was told to read no more, sends a block without columns.
    for value in sealed.column(COLUMN) if sealed.num_rows else ():
        yield pa.ipc.open_stream(value.as_buffer()).read_all()
