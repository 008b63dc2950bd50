"""Shared parts of the commands: the Typer application, the shipped content, and common arguments."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.content.stages import STAGES
from oasis_ray.job.load import Shipped

app = typer.Typer(
    help="Generate multimodal instruction data with vLLM and Ray.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

CONTENT = "oasis_ray.content"
SHIPPED = Shipped(STAGES, Path(str(files(f"{CONTENT}.stages"))) / "recipes", Path(str(files(f"{CONTENT}.prompts"))))

JobFile = Annotated[Path, typer.Argument(help="Job file; docs/job.md describes its keys.", metavar="JOB.yaml")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a key of the job file, e.g. --set pools.vlm.replicas=2. Repeatable.",
        metavar="KEY=VALUE",
    ),
]
Local = Annotated[
    bool, typer.Option("--local", help="Run in this process, without Ray; the same as --set executor=local.")
]
RunFolder = Annotated[str, typer.Argument(help="Run folder: output.path of the job.", metavar="RUN")]
