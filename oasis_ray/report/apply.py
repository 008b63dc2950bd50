"""Apply a worker to every item of a list, in this process. `parallel` does the same as a job of Ray Data."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Apply(Protocol):
    """Makes workers with these arguments, and returns what they make of each item. No items: no worker is made.

    The order of the results is not defined. A JobError that a worker raises is raised here.
    """

    def __call__(
        self, worker: Callable[..., Callable[[T], R]], arguments: tuple[Any, ...], items: Sequence[T]
    ) -> Iterator[R]:
        """The result of every item, as it is ready."""


def apply_here(worker: Callable[..., Callable[[T], R]], arguments: tuple[Any, ...], items: Sequence[T]) -> Iterator[R]:
    """One worker, in this process."""
    if items:
        yield from map(worker(*arguments), items)
