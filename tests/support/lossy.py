"""Scripts of engines that are lost while they answer, as an engine is whose process dies."""

from collections import Counter

from oasis_ray.errors import EngineLostError
from oasis_ray.types import Call, Reply
from tests.support.scripts import oasis

seen: Counter[str] = Counter()  # calls by row


def lossy(call: Call) -> Reply:
    """The engine is lost at the first call of every row `shaky…`, and at every call of a row `poison…`."""
    seen[call.row] += 1
    if "poison" in call.row or ("shaky" in call.row and seen[call.row] == 1):
        raise EngineLostError(f"lost with {call.row}")
    return oasis(call)
