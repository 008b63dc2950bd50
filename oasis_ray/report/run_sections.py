"""The sections on what a run did: its funnel, the judges' scores, origins, and people's marks."""

from oasis_ray.report.section import COLOURS, OUTCOME_COLOURS, Section, Table, count, share, stacked
from oasis_ray.report.statistics import DatasetStatistics

OUTCOMES = tuple(OUTCOME_COLOURS)


def funnel(subjects: list[DatasetStatistics]) -> Section | None:
    """Rows at every node, why they left, and the published rates."""
    runs = [subject for subject in subjects if subject.funnel]
    if not runs:
        return None
    plots, tables = [], []
    for run in runs:
        nodes = [passage.node for passage in run.funnel]
        left = {
            outcome: [sum(rows for why, rows in one.left.items() if why.startswith(outcome)) for one in run.funnel]
            for outcome in ("rejected", "failed")
        }
        turned = [one.left.get("to route caption", 0) for one in run.funnel]
        parts = [
            ("go on", [one.through for one in run.funnel], COLOURS[0]),
            ("to captions", turned, OUTCOME_COLOURS["captions"]),
            ("rejected", left["rejected"], OUTCOME_COLOURS["rejected"]),
            ("failed", left["failed"], OUTCOME_COLOURS["failed"]),
        ]
        label = f"Rows at every node of {run.name}: how many go on, and where the others go"
        plots.append(stacked(label, nodes, parts, "rows"))
        tables.append(
            Table(
                f"The funnel of {run.name}",
                ("node", "rows in", "left here", "why"),
                [
                    (
                        one.node,
                        count(one.rows),
                        count(one.rows - one.through),
                        ", ".join(f"{why} {count(rows)}" for why, rows in one.left.items() if rows),
                    )
                    for one in run.funnel
                ],
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
            0, Table("Shares beside the published ones", ("run", "share of", "here", "rows", "published"), rates)
        )
    return Section(
        "funnel",
        "The funnel",
        "How many rows came to each node, how many went on, and why the others left.",
        plots,
        tables,
    )


def scores(subjects: list[DatasetStatistics]) -> Section | None:
    """How the judges scored, axis by axis, and how their scores go together."""
    judged = [subject for subject in subjects if subject.scores]
    if not judged:
        return None
    plots, rows, together = [], [], []
    for run in judged:
        axes = [axis.axis for axis in run.scores]
        parts = [
            (
                str(score),
                [100 * axis.counts.get(score, 0) / sum(axis.counts.values()) for axis in run.scores],
                f"rgba(0, 114, 178, {0.2 * score})",
            )
            for score in range(1, 6)
        ]
        label = f"Shares of the scores 1 to 5 on each axis of {run.name}"
        plots.append(stacked(label, axes, parts, "% of the rows that came to the judge"))
        rows += [
            (
                run.name,
                axis.axis,
                count(sum(axis.counts.values())),
                f"{axis.mean:.2f}",
                *(count(axis.counts.get(score, 0)) for score in range(1, 6)),
            )
            for axis in run.scores
        ]
        together += [
            (run.name, pair.one, pair.other, count(pair.rows), "–" if pair.pearson is None else f"{pair.pearson:.2f}")
            for pair in run.correlations
        ]
    return Section(
        "scores",
        "What the judges said",
        "Scores from 1 (worst) to 5 (best), of all rows that came to a judge, whatever became of them. A row leaves at "
        "the first judge that turns it down, so correlations are of rows that both have seen.",
        plots,
        [
            Table("Scores by axis", ("run", "axis", "rows", "mean", "1", "2", "3", "4", "5"), rows),
            Table(
                "Correlation of two axes (Pearson; – where one never varies)",
                ("run", "axis", "and", "rows on both", "r"),
                together,
            ),
        ],
    )


def origins(subjects: list[DatasetStatistics]) -> Section | None:
    """Rows and texts by where their pictures come from."""
    known = [subject for subject in subjects if subject.origins]
    if not known:
        return None
    rows = [
        (
            subject.name,
            one.origin or "(none)",
            *(count(one.outcomes.get(outcome, 0)) for outcome in OUTCOMES),
            share(one.outcomes.get("accepted", 0), sum(one.outcomes.values())),
            *(
                f"{one.words[text]:.1f}" if text in one.words else "–"
                for text in ("instruction", "response", "caption")
            ),
        )
        for subject in known
        for one in subject.origins
    ]
    plots = []
    for subject in known:
        some = subject.origins[:20]
        parts = [
            (
                outcome,
                [100 * one.outcomes.get(outcome, 0) / sum(one.outcomes.values()) for one in some],
                OUTCOME_COLOURS[outcome],
            )
            for outcome in OUTCOMES
        ]
        names = [one.origin or "(none)" for one in some]
        plots.append(stacked(f"Outcomes by origin in {subject.name}", names, parts, "% of its rows"))
    head = ("subject", "origin", *OUTCOMES, "accepted", "words: instruction", "response", "caption")
    lead = "What became of the rows of each origin, and how long their texts are."
    return Section("origins", "Where the pictures come from", lead, plots, [Table("Rows by origin", head, rows)])


def marks(subjects: list[DatasetStatistics]) -> Section | None:
    """What people said of rows, beside what the judges did."""
    rows = [
        (subject.name, outcome, count(subject.marks.good.get(outcome, 0)), count(subject.marks.bad.get(outcome, 0)))
        for subject in subjects
        if subject.marks
        for outcome in OUTCOMES
    ]
    if not rows:
        return None
    told = []
    for subject in subjects:
        if (found := subject.marks) is not None:
            kappa = "" if found.kappa is None else f"; Cohen's kappa with the run's own verdicts is {found.kappa:.2f}"
            told.append(f"{count(found.marks)} marks of rows of {subject.name}, made in `oasis-ray browse`{kappa}.")
    lead = " ".join(told)
    table = Table("Marks by outcome", ("run", "outcome", "marked good", "marked bad"), rows)
    return Section("marks", "People and judges", lead, [], [table])
