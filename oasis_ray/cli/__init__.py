"""The command line. The only part of the framework that knows the shipped stages, recipes and prompts."""

import sys

# isort: off
from oasis_ray.cli import run, cluster, look, compare, data  # the commands are listed in this order

# isort: on
from oasis_ray.cli.app import SHIPPED, app
from oasis_ray.errors import OasisError
from oasis_ray.terminal import err

__all__ = ["SHIPPED", "app", "cluster", "compare", "data", "look", "main", "run"]


def main() -> None:
    """The command `oasis-ray`: an error that is ours is told in plain words, with its exit code."""
    try:
        app()
    except OasisError as error:
        err.print(f"{type(error).__name__}: {error}", soft_wrap=True)
        sys.exit(error.exit_code)
