"""The lock on a run folder: one run at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from oasis_ray.errors import RunError
from oasis_ray.storage import expand


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Lock a local run folder against a second run. Object stores have no locks: see docs/failures.md."""
    if "://" in folder:
        yield
        return
    place = Path(expand(folder))
    place.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(place / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunError(f"{folder} is being worked on by another oasis-ray run; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
