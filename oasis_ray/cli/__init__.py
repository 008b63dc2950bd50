"""Command line interface: the only subpackage that imports the shipped stages, recipes and prompts."""

import io
import os
import sys

# isort: off
from oasis_ray.cli import run, plan, recipes, cluster, explore, diff, data  # `--help` lists the commands in this order

# isort: on
from oasis_ray.cli.app import SHIPPED, app
from oasis_ray.cli.terminal import err
from oasis_ray.errors import OasisError

__all__ = ["SHIPPED", "app", "cluster", "data", "diff", "explore", "main", "plan", "recipes", "run"]


def main() -> None:
    """Entry point of `oasis-ray`: prints errors as messages without a traceback, and sets the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or log that is not UTF-8 shows `?` instead of raising
            stream.reconfigure(errors="replace")
    try:
        app()
    except OasisError as error:
        err.print(f"{type(error).__name__}: {error}", soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of the output has ended: `oasis-ray status RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit
        sys.exit(1)
    except OSError as error:  # errors of the file system that no command reports itself
        where = f" {error.filename}:" if error.filename else ""
        err.print(f"error:{where} {error.strerror or error}", soft_wrap=True)
        sys.exit(1)
