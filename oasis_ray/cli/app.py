"""What all commands share: the application, what ships with it, and the arguments that come again and again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import oasis_ray
import prompts
import stages
from oasis_ray.job.load import Shipped


def _refuse_shadows() -> None:
    """Exit where a folder in the working directory or on PYTHONPATH takes the place of a package that ships with us."""
    root = Path(oasis_ray.__file__).resolve().parents[1]
    for package in (stages, prompts):
        found = Path(next(iter(package.__path__))).resolve()
        if found.parent != root:
            sys.exit(
                f"the folder {found} takes the place of the package `{package.__name__}` that comes with oasis_ray; "
                "rename it, or take it off Python's path (another working directory, PYTHONPATH)"
            )


_refuse_shadows()

app = typer.Typer(
    help="Multimodal instruction data from images alone: the Oasis method on shared vLLM engines, under Ray.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

SHIPPED = Shipped(stages.STAGES, Path(stages.__file__).parent / "recipes", Path(prompts.__path__[0]))

JobFile = Annotated[Path, typer.Argument(help="A job file: see docs/job.md.", metavar="JOB.yaml")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: --set pools.vlm.replicas=2. Repeatable.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Run in this process, without Ray: short for --set executor=local.")
]
RunFolder = Annotated[str, typer.Argument(help="A run folder: the job's output.path.", metavar="RUN")]
