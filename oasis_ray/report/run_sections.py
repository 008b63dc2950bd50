"""Report sections on a run: funnel, scores of the judges, origins of the images, and people's marks."""

from oasis_ray.report.section import COLOURS, OUTCOME_COLOURS, Section, Table, count, share, stacked
from oasis_ray.report.statistics import DatasetStatistics

OUTCOMES = tuple(OUTCOME_COLOURS)


def funnel(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on rows by node, the reasons for diverting them, and the published rates."""
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
        captions = [one.left.get("to route caption", 0) for one in run.funnel]
        parts = [
            ("continue", [one.through for one in run.funnel], COLOURS[0]),
            ("to captions", captions, OUTCOME_COLOURS["captions"]),
            ("rejected", left["rejected"], OUTCOME_COLOURS["rejected"]),
            ("failed", left["failed"], OUTCOME_COLOURS["failed"]),
        ]
        label = f"Rows by node of {run.name}: how many continue, and where the others go"
        plots.append(stacked(label, nodes, parts, "rows"))
        tables.append(
            Table(
                f"Funnel of {run.name}",
                ("node", "rows in", "diverted", "why"),
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
            0, Table("Rates, compared with the published ones", ("run", "rate", "this run", "rows", "published"), rates)
        )
    return Section(
        "funnel",
        "Funnel",
        "How many rows reached each node, how many continued, and why the others were diverted.",
        plots,
        tables,
    )


def scores(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the scores of the judges by axis, and on their correlations."""
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
        plots.append(stacked(label, axes, parts, "% of the rows that reached the judge"))
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
        "Scores of the judges",
        "Scores from 1 (worst) to 5 (best), of all rows that reached a judge, whatever their outcome. A row leaves at "
        "the first judge that rejects it, so correlations are computed over the rows that both judges scored.",
        plots,
        [
            Table("Scores by axis", ("run", "axis", "rows", "mean", "1", "2", "3", "4", "5"), rows),
            Table(
                "Correlation of two axes (Pearson; – if one of them is constant)",
                ("run", "axis", "other axis", "rows scored on both", "r"),
                together,
            ),
        ],
    )


def origins(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on rows and texts by the origin of their images."""
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
        origins = subject.origins[:20]
        parts = [
            (
                outcome,
                [100 * one.outcomes.get(outcome, 0) / sum(one.outcomes.values()) for one in origins],
                OUTCOME_COLOURS[outcome],
            )
            for outcome in OUTCOMES
        ]
        names = [one.origin or "(none)" for one in origins]
        plots.append(stacked(f"Outcomes by origin in {subject.name}", names, parts, "% of its rows"))
    head = ("data set", "origin", *OUTCOMES, "accepted", "words: instruction", "response", "caption")
    lead = "Outcomes of the rows of each origin, and the lengths of their texts."
    return Section("origins", "Origins of the images", lead, plots, [Table("Rows by origin", head, rows)])


def marks(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on people's marks, compared with the outcomes of the rows."""
    rows = [
        (subject.name, outcome, count(subject.marks.good.get(outcome, 0)), count(subject.marks.bad.get(outcome, 0)))
        for subject in subjects
        if subject.marks
        for outcome in OUTCOMES
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
