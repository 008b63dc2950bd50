"""Command `recipes`: lists the shipped recipes, or explains one."""

from typing import Annotated

import typer
from rich.table import Table

from oasis_ray.cli.app import SHIPPED, app
from oasis_ray.cli.terminal import out
from oasis_ray.job.load import load_recipe
from oasis_ray.recipe.recipe import Recipe


@app.command()
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A shipped recipe, or the path of a recipe file.", metavar="NAME")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Folder of prompts, searched before the shipped prompts.", metavar="FOLDER")
    ] = None,
) -> None:
    """List the recipes, or explain one.

    For one recipe: what it makes, the input that it needs, its nodes, pools and records, and the pass rates published
    for its method.
    """
    if name is not None:
        _explain(load_recipe(name, SHIPPED, prompts))
        return
    table = Table(show_edge=False, pad_edge=False)
    for column in ("recipe", "reads", "makes"):
        table.add_column(column, overflow="fold", no_wrap=column == "recipe")
    for path in sorted(SHIPPED.recipes.glob("*.yaml")):
        recipe = load_recipe(path.stem, SHIPPED)
        table.add_row(recipe.name, _reads(recipe), _first_sentence(recipe.about))
    out.print(table)
    out.print("\noasis-ray recipes NAME explains a recipe.", soft_wrap=True)


def _explain(recipe: Recipe) -> None:
    from oasis_ray.cli.tables import graph

    out.print(f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name, soft_wrap=True)
    out.print(f"\nreads    {_reads(recipe)}", soft_wrap=True)
    for pool in dict.fromkeys(node.pool for node in recipe.nodes if node.pool):
        nodes = ", ".join(node.name for node in recipe.nodes if node.pool == pool)
        out.print(f"pool     {pool}: asked by {nodes}", soft_wrap=True)
    for name, record in recipe.records.items():
        more = f", with the columns {', '.join(record.columns)}" if record.columns else ""
        out.print(
            f"record   {name}: rows at the end of route {record.route}, as {record.data_source}{more}", soft_wrap=True
        )
    for rate in recipe.rates:
        out.print(f"rate     {rate.label}: published {rate.published:.1%}", soft_wrap=True)
    out.print()
    out.print(graph(recipe))
    if recipe.cite:
        out.print(f"\n{recipe.cite.strip()}", soft_wrap=True, highlight=False)


def _reads(recipe: Recipe) -> str:
    """Return the values that a recipe reads from the input, with their types."""
    values = [name if name == str(kind) else f"{name} ({kind})" for name, kind in recipe.source.items()]
    return ", ".join(values) or "nothing"


def _first_sentence(text: str) -> str:
    head, stop, _ = " ".join(text.split()).partition(". ")
    return head + stop.strip()
