"""The command that compares two runs, and the tables it prints."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from oasis_ray.cli.app import app
from oasis_ray.cli.terminal import VISIBLE, err, out
from oasis_ray.types import Outcome

if TYPE_CHECKING:
    from oasis_ray.explore.comparison import Move, Shift


MOVES = 20  # lines of a table that a terminal still shows whole
WHY_CHARS = 600


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The run as it was.", metavar="RUN1")],
    after: Annotated[str, typer.Argument(help="The run as it is now, over the same input.", metavar="RUN2")],
    show: Annotated[int, typer.Option(min=0, help="How many rows to show that ended otherwise.")] = 5,
    json_file: Annotated[str | None, typer.Option("--json", help="Write every row that ended otherwise.")] = None,
) -> None:
    """Compare two runs: what changed in the recipe, and row by row who ended otherwise."""
    from oasis_ray.explore.comparison import Comparison

    compared = Comparison(before, after)
    for note in compared.notes:
        err.print(f"note: {note}", soft_wrap=True)
    out.print(
        "\n".join(["what changed:", *(f"  - {change}" for change in compared.changes or ["nothing"])]), soft_wrap=True
    )
    alone = [f", {rows} in {run} alone" for run, rows in zip((before, after), compared.alone, strict=True) if rows]
    out.print(f"\n{compared.rows} rows are in both runs{''.join(alone)}", soft_wrap=True)
    out.print(_outcomes(compared.outcomes()))
    flipped, moved = compared.flipped, compared.moved
    out.print(
        f"\n{flipped} rows ({flipped / compared.rows:.1%}) have another outcome; "
        f"{moved - flipped} more left at another node or for another reason",
        soft_wrap=True,
    )
    moves = compared.moves()
    if moves:
        out.print(_moves(moves[:MOVES]))
    if len(moves) > MOVES:
        rest = sum(move.rows for move in moves[MOVES:])
        out.print(
            f"… and {len(moves) - MOVES} rarer moves of {rest} rows in all (--json has every row)", soft_wrap=True
        )
    if shifts := compared.shifts():
        out.print("\nscores of rows that were judged in both runs")
        out.print(_shifts(shifts))
    for example in compared.examples(show):
        same = example.before.said == example.after.said
        out.print("\n".join(["", example.id, *_indented(example.before.said if same else "", 2)]), soft_wrap=True)
        for when, side in (("before", example.before), ("after", example.after)):
            texts = [*_indented("" if same else side.said, 4), *_indented(side.why, 4)]
            out.print("\n".join([f"  {when}: {side.place}", *texts]), soft_wrap=True)
    if json_file is not None:
        compared.write(json_file)
        out.print(f"\nevery row that ended otherwise is in {json_file}", soft_wrap=True)


def _indented(text: str, by: int) -> list[str]:
    cut = text if len(text) <= WHY_CHARS else text[:WHY_CHARS] + " …"
    return [" " * by + line for line in cut.strip().splitlines()]


def _outcomes(counts: Mapping[tuple[str | None, str | None], int]) -> Table:
    """How many rows had one outcome before (down) and one after (across); None is a row that the run does not have."""
    kinds: list[str | None] = [*Outcome, *([None] if any(None in pair for pair in counts) else [])]
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("before ↓   after →")
    for kind in kinds:
        table.add_column(kind or "not there", justify="right")
    for was in kinds:
        table.add_row(was or "not there", *(str(counts.get((was, now), "")) for now in kinds))
    return table


def _moves(moved: "Iterable[Move]") -> Table:
    """Where rows ended before, where they end now, and how many they are."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("rows", justify="right")
    for column in ("before", "after"):
        table.add_column(column, overflow="fold")
    for move in moved:
        # What stands in parts is data: nothing in it may drive the terminal.
        table.add_row(str(move.rows), *(str(place).translate(VISIBLE) for place in (move.before, move.after)))
    return table


def _shifts(shifted: "Iterable[Shift]") -> Table:
    """The scores before and after, an axis a line."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("axis", overflow="fold")
    for column in ("rows", "mean before", "mean after", "change", "higher", "lower"):
        table.add_column(column, justify="right")
    for one in shifted:
        means = (f"{one.before:.2f}", f"{one.after:.2f}", f"{one.after - one.before:+.2f}")
        table.add_row(one.axis.translate(VISIBLE), str(one.rows), *means, str(one.up), str(one.down))
    return table
