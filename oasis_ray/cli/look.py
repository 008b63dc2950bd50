"""The commands that look at a run."""

import typer

from oasis_ray.cli.app import RunFolder, app
from oasis_ray.terminal import err, out


@app.command()
def audit(run_folder: RunFolder) -> None:
    """Prove from the files alone that every input row ended exactly once. Ends with code 1 where it does not hold."""
    from oasis_ray.audit import audit as check

    result = check(run_folder)
    told = " + ".join(f"{count} {fate}" for fate, count in result.fates.items())
    sign = "=" if sum(result.fates.values()) == result.rows else "≠"
    out.print(f"{result.rows} input rows {sign} {told}   ({result.parts} parts read)", soft_wrap=True)
    for note in result.notes:
        out.print(f"note: {note}", soft_wrap=True)
    for fault in result.faults:
        err.print(f"fault: {fault}", soft_wrap=True)
    if result.faults:
        raise typer.Exit(1)
    out.print("every row ended exactly once")


@app.command()
def status(run_folder: RunFolder) -> None:
    """Show where a run stands, from its folder alone."""
    from oasis_ray.manifest import read_manifest
    from oasis_ray.tally import of_run

    manifest = read_manifest(run_folder)
    tally = of_run(run_folder)
    out.print(f"{run_folder}: recipe {manifest['recipe']}, {manifest['state']}", soft_wrap=True)
    counts = ", ".join(f"{tally.fates[fate]} {fate}" for fate in ("accepted", "captions", "rejected", "failed"))
    out.print(f"{tally.rows} of {manifest['input']['rows']} rows ended: {counts}", soft_wrap=True)
    for (fate, node, reason), rows in sorted(tally.reasons.items()):
        out.print(f"  {fate} at {node}: {reason} {rows}")
