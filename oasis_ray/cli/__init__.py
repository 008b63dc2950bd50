"""The command line. The only part of the framework that knows the shipped stages, recipes and prompts."""

import io
import os
import sys

# isort: off
from oasis_ray.cli import run, plan, cluster, explore, diff, data  # the commands are listed in this order

# isort: on
from oasis_ray.cli.app import SHIPPED, app
from oasis_ray.cli.terminal import err
from oasis_ray.errors import OasisError

__all__ = ["SHIPPED", "app", "cluster", "data", "diff", "explore", "main", "plan", "run"]


def main() -> None:
    """The command `oasis-ray`: an error that is ours is told in plain words, with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or log that is not UTF-8 shows `?` for what it can't
            stream.reconfigure(errors="replace")
    try:
        app()
    except OasisError as error:
        err.print(f"{type(error).__name__}: {error}", soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read the output has gone: `oasis-ray status RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        sys.exit(1)
    except OSError as error:  # what a disk says, where no command has put it into words of its own
        where = f" {error.filename}:" if error.filename else ""
        err.print(f"error:{where} {error.strerror or error}", soft_wrap=True)
        sys.exit(1)
