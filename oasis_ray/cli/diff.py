"""The command `diff`: compares two runs, and prints the tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from oasis_ray.cli.app import app
from oasis_ray.cli.terminal import VISIBLE, err, out

if TYPE_CHECKING:
    from oasis_ray.explore.comparison import Move, Shift


MOVES = 20  # lines that fit a terminal without scrolling
WHY_CHARS = 600


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Run folder of the earlier run.", metavar="RUN1")],
    after: Annotated[str, typer.Argument(help="Run folder of the later run over the same input.", metavar="RUN2")],
    show: Annotated[int, typer.Option(min=0, help="Number of differing rows to show as examples.", metavar="N")] = 5,
    json_file: Annotated[
        str | None, typer.Option("--json", help="JSON file to write all differing rows to.", metavar="FILE")
    ] = None,
) -> None:
    """Compare two runs over the same input.

    Shows configuration changes, and the rows that ended with a different outcome, at a different node or for a
    different reason.
    """
    from oasis_ray.explore.comparison import Comparison

    compared = Comparison(before, after)
    for note in compared.notes:
        err.print(f"note: {note}", soft_wrap=True)
    out.print(
        "\n".join(["what changed:", *(f"  - {change}" for change in compared.changes or ["nothing"])]), soft_wrap=True
    )
    alone = [f", {rows} only in {run}" for run, rows in zip((before, after), compared.alone, strict=True) if rows]
    out.print(f"\n{compared.rows} rows are in both runs{''.join(alone)}", soft_wrap=True)
    out.print(_outcomes(compared.possible_outcomes, compared.outcomes()))
    flipped, moved = compared.flipped, compared.moved
    out.print(
        f"\n{flipped} rows ({flipped / compared.rows:.1%}) changed their outcome; "
        f"{moved - flipped} more ended at a different node or for a different reason",
        soft_wrap=True,
    )
    moves = compared.moves()
    if moves:
        out.print(_moves(moves[:MOVES]))
    if len(moves) > MOVES:
        rest = sum(move.rows for move in moves[MOVES:])
        out.print(
            f"… and {len(moves) - MOVES} rarer changes with {rest} rows in total (--json lists every row)",
            soft_wrap=True,
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
        out.print(f"\nall rows that ended differently are in {json_file}", soft_wrap=True)


def _indented(text: str, by: int) -> list[str]:
    cut = text if len(text) <= WHY_CHARS else text[:WHY_CHARS] + " …"
    return [" " * by + line for line in cut.strip().splitlines()]


def _outcomes(possible: Sequence[str], counts: Mapping[tuple[str | None, str | None], int]) -> Table:
    """Table of row counts by outcome before (down) and after (across). None: the run does not have the row."""
    kinds: list[str | None] = [*possible, *([None] if any(None in pair for pair in counts) else [])]
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("before ↓   after →")
    for kind in kinds:
        table.add_column(kind or "missing", justify="right")
    for was in kinds:
        table.add_row(was or "missing", *(str(counts.get((was, now), "")) for now in kinds))
    return table


def _moves(moved: "Iterable[Move]") -> Table:
    """Table of changes: number of rows, where they ended before, and where they ended after."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("rows", justify="right")
    for column in ("before", "after"):
        table.add_column(column, overflow="fold")
    for move in moved:
        # Nodes and reasons come from part files: their control characters must not reach the terminal.
        table.add_row(str(move.rows), *(str(place).translate(VISIBLE) for place in (move.before, move.after)))
    return table


def _shifts(shifted: "Iterable[Shift]") -> Table:
    """Table of the scores before and after, one axis per line."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("axis", overflow="fold")
    for column in ("rows", "mean before", "mean after", "change", "higher", "lower"):
        table.add_column(column, justify="right")
    for shift in shifted:
        digits = 2 if max(abs(shift.before), abs(shift.after)) >= 1 else 4  # shares and the like
        means = (f"{shift.before:.{digits}f}", f"{shift.after:.{digits}f}", f"{shift.after - shift.before:+.{digits}f}")
        table.add_row(shift.axis.translate(VISIBLE), str(shift.rows), *means, str(shift.up), str(shift.down))
    return table
