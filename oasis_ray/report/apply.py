"""Apply a worker to every item of a list in this process. `parallel` does the same as a Ray Data job."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Apply(Protocol):
    """Creates workers with `arguments`, and applies them to the items. Without items, no worker is created.

    The order of the results is undefined. A JobError raised by a worker is raised to the caller.
    """

    def __call__(
        self, worker: Callable[..., Callable[[T], R]], arguments: tuple[Any, ...], items: Sequence[T]
    ) -> Iterator[R]:
        """Yield the result of every item as it becomes ready."""


def apply_here(worker: Callable[..., Callable[[T], R]], arguments: tuple[Any, ...], items: Sequence[T]) -> Iterator[R]:
    """Apply one worker in this process."""
    if items:
        yield from map(worker(*arguments), items)
