"""Outcomes: where the rows of a run may end, from its manifest. Each outcome is a folder of the run."""

from collections.abc import Iterable, Mapping
from typing import Any

from oasis_ray.output.manifest import read_manifest
from oasis_ray.types import ACCEPTED, DROPPED, MAIN


def records_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the route of each record of a run, by the name of its folder: those of earlier configurations too."""
    records = {ACCEPTED: MAIN}
    for config in (manifest, *manifest["earlier"]):
        for name, record in config.get("records", {}).items():
            records.setdefault(name, record["route"])
    if "records" not in manifest:  # written before recipes named their records: a folder was the plural of its route
        routes = sorted({route for node in manifest["nodes"] for route in node["diverts"]})
        records |= {f"{route}s": route for route in routes}
    return records


def conversations_of(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the records of a run that are conversations, which may have several exchanges; others have one."""
    turns = {name: record.get("turns", ()) for name, record in manifest.get("records", {}).items()}
    return frozenset(name for name, refs in turns.items() if len(refs) == 1)


def outcomes_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all outcomes of a run: the names of its records, then `rejected` and `failed`."""
    return (*records_of(manifest), *DROPPED)


def outcomes_in(folder: str) -> tuple[str, ...]:
    """Return all outcomes of the run in a folder. Raises JobError if it is not a run folder."""
    return outcomes_of(read_manifest(folder))


def kept(outcomes: Iterable[str]) -> tuple[str, ...]:
    """Return the outcomes of rows that became a record."""
    return tuple(outcome for outcome in outcomes if outcome not in DROPPED)
