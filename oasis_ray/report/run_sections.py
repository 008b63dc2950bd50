"""Report sections on a run: funnel, origins of the images, and people's marks."""

from collections.abc import Iterator, Mapping
from itertools import cycle, islice

from oasis_ray.output.funnel import Exit
from oasis_ray.report.kinds import kinds_of
from oasis_ray.report.section import COLOURS, FURTHER, Colour, Section, Table, count, outcome_colours, share, stacked
from oasis_ray.report.statistics import DatasetStatistics, Passage
from oasis_ray.types import ACCEPTED, DROPPED, MAIN


def funnel(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on rows by node, the reasons for diverting them, and the published rates."""
    runs = [subject for subject in subjects if subject.funnel]
    if not runs:
        return None
    plots, tables = [], []
    colours = outcome_colours(subjects)
    for run in runs:
        nodes = [passage.node for passage in run.funnel]
        parts = [("continue", [one.through for one in run.funnel], COLOURS[0])]
        for name, colour in _ways_out(run, colours).items():
            lengths = [sum(rows for why, rows in one.left.items() if _way(why) == name) for one in run.funnel]
            parts.append((name, lengths, colour))
        label = f"Rows by node of {run.name}: how many continue, and where the others go"
        plots.append(stacked(label, nodes, parts, "rows"))
        tables.append(
            Table(
                f"Funnel of {run.name}",
                ("node", "rows in", "diverted", "why"),
                [line for one in run.funnel for line in _lines(one)],
            )
        )
    rates = [
        (
            run.name,
            rate.say,
            share(rate.rows, rate.of),
            f"{count(rate.rows)} of {count(rate.of)}",
            f"{rate.published:.1%}",
        )
        for run in runs
        for rate in run.rates
    ]
    if rates:
        tables.insert(
            0, Table("Rates, compared with the published ones", ("run", "rate", "this run", "rows", "published"), rates)
        )
    return Section(
        "funnel",
        "Funnel",
        "How many rows reached each node, how many continued, and why the others were diverted.",
        plots,
        tables,
    )


def _lines(passage: Passage) -> Iterator[tuple[str, str, str, str]]:
    """Yield the line of a node, and one of the elements of its lists if it works on these."""
    lines = [(passage.node, passage.rows, passage.rows - passage.through, passage.left)]
    if passage.elements:
        name = f"{passage.node}: elements"
        lines.append((name, passage.elements, sum(passage.dropped.values()), passage.dropped))
    for name, reached, left, reasons in lines:
        why = ", ".join(f"{reason} {count(many)}" for reason, many in reasons.items() if many)
        yield name, count(reached), count(left), why


def _ways_out(run: DatasetStatistics, colours: Mapping[str, Colour]) -> dict[str, str]:
    """Return the ways in which rows leave a route, with their colours: to each other route, `rejected`, `failed`.

    A route has the colour of its record. Routes that have none (their rows come back, or none is kept) are the last.
    """
    ways = {str(Exit(route)): colours[record].plot for record, route in run.records.items() if route != MAIN}
    dropped = {outcome: colours[outcome].plot for outcome in DROPPED}
    taken = dict.fromkeys(_way(why) for passage in run.funnel for why in passage.left)
    further = islice(cycle(FURTHER), len(ways), None)
    return ways | {way: next(further).plot for way in taken if way not in ways and way not in dropped} | dropped


def _way(why: str) -> str:
    """Return an entry of a funnel's `left` without its reason."""
    return why.partition(": ")[0]


def origins(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on rows and texts by the origin of their images."""
    known = [subject for subject in subjects if subject.origins]
    if not known:
        return None
    colours = outcome_colours(subjects)
    texts = kinds_of(colours)
    rows = [
        (
            subject.name,
            one.origin or "(none)",
            *(count(one.outcomes.get(outcome, 0)) for outcome in colours),
            share(one.outcomes.get(ACCEPTED, 0), sum(one.outcomes.values())),
            *(f"{one.words[text]:.1f}" if text in one.words else "–" for text in texts),
        )
        for subject in known
        for one in subject.origins
    ]
    plots = []
    for subject in known:
        origins = subject.origins[:20]
        parts = [
            (
                outcome,
                [100 * one.outcomes.get(outcome, 0) / sum(one.outcomes.values()) for one in origins],
                colour.plot,
            )
            for outcome, colour in colours.items()
        ]
        names = [one.origin or "(none)" for one in origins]
        plots.append(stacked(f"Outcomes by origin in {subject.name}", names, parts, "% of its rows"))
    head = ("data set", "origin", *colours, "accepted", f"words: {texts[0]}", *texts[1:])
    lead = "Outcomes of the rows of each origin, and the lengths of their texts."
    return Section("origins", "Origins of the images", lead, plots, [Table("Rows by origin", head, rows)])


def marks(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on people's marks, compared with the outcomes of the rows."""
    rows = [
        (subject.name, outcome, count(subject.marks.good.get(outcome, 0)), count(subject.marks.bad.get(outcome, 0)))
        for subject in subjects
        if subject.marks
        for outcome in subject.outcomes
    ]
    if not rows:
        return None
    leads = []
    for subject in subjects:
        if (marks := subject.marks) is not None:
            kappa = "" if marks.kappa is None else f"; Cohen's kappa with the outcomes of the run is {marks.kappa:.2f}"
            leads.append(f"{count(marks.marks)} marks of rows of {subject.name}, from `oasis-ray browse`{kappa}.")
    lead = " ".join(leads)
    table = Table("Marks by outcome", ("run", "outcome", "marked good", "marked bad"), rows)
    return Section("marks", "People and judges", lead, [], [table])
