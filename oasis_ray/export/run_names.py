"""Names of the runs of an export. Their paths are not exported."""

from collections import Counter
from collections.abc import Sequence

from oasis_ray.input.ids import numbered
from oasis_ray.storage import expand


def run_names(folders: Sequence[str]) -> list[str]:
    """Return the names of runs, which are those of their folders; a second run of the same name is `name#2`."""
    names = [expand(folder).rstrip("/").rpartition("/")[2] for folder in folders]
    repeated = {name: 0 for name, count in Counter(names).items() if count > 1}
    return [numbered(name, repeated, set(names)) for name in names]
