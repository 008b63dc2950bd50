"""What all commands share: the application, what ships with it, and the arguments that come again and again."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.content.stages import STAGES
from oasis_ray.job.load import Shipped

app = typer.Typer(
    help="Multimodal instruction data from images alone: the Oasis method on shared vLLM engines, under Ray.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

CONTENT = "oasis_ray.content"
SHIPPED = Shipped(STAGES, Path(str(files(f"{CONTENT}.stages"))) / "recipes", Path(str(files(f"{CONTENT}.prompts"))))

JobFile = Annotated[Path, typer.Argument(help="A job file: see docs/job.md.", metavar="JOB.yaml")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: --set pools.vlm.replicas=2. Repeatable.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Run in this process, without Ray: short for --set executor=local.")
]
RunFolder = Annotated[str, typer.Argument(help="A run folder: the job's output.path.", metavar="RUN")]
