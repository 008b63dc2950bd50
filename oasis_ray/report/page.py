"""Render the report as one HTML page that opens offline: sections, plots and rows.

The template escapes all texts. The data of the page's script is embedded as JSON, with `<`, `>` and `&` escaped, and
inserted as text nodes. The Content Security Policy allows two scripts by their SHA-256: Plotly's and the page's own.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from oasis_ray.report import cost_sections as of_cost
from oasis_ray.report import run_sections as of_runs
from oasis_ray.report import score_sections as of_scores
from oasis_ray.report import text_sections as of_texts
from oasis_ray.report.gallery import Shown
from oasis_ray.report.section import Section, outcome_colours
from oasis_ray.report.statistics import DatasetStatistics, Statistics

SECTIONS: tuple[Callable[[list[DatasetStatistics]], Section | None], ...] = (
    of_runs.funnel, of_scores.scores, of_texts.lengths, of_texts.languages, of_texts.verbs, of_texts.duplicates,
    of_texts.defects, of_texts.overlaps, of_texts.pictures, of_runs.origins, of_cost.cost, of_cost.forecast,
    of_runs.marks,
)  # fmt: skip


def page(statistics: Statistics, rows: Sequence[Shown]) -> str:
    """Return the HTML of the page."""
    sections = [section for build in SECTIONS if (section := build(statistics.subjects)) is not None]
    figures = {f"{section.name}-{at}": plot.figure for section in sections for at, plot in enumerate(section.plots)}
    colours = {outcome: colour.border for outcome, colour in outcome_colours(statistics.subjects).items()}
    source = files(__package__)
    script, plotly = source.joinpath("page.js").read_text(encoding="utf-8"), get_plotlyjs()
    if "</script" in plotly.lower():
        raise ValueError("this version of Plotly contains `</script`, so it can't be embedded in a page")
    trusted = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return trusted.from_string(source.joinpath("page.html").read_text(encoding="utf-8")).render(
        title=", ".join(subject.name for subject in statistics.subjects),
        made=statistics.made,
        version=version("oasis_ray"),
        subjects=statistics.subjects,
        colours=colours,
        sections=sections,
        rows=rows,
        script_hashes=_raw(" ".join(f"'sha256-{_hash(text)}'" for text in (plotly, script))),
        style=_raw(source.joinpath("page.css").read_text(encoding="utf-8")),
        plotly=_raw(plotly),
        script=_raw(script),
        figures=_raw(_inert(to_json_plotly(figures))),
        colours_json=_raw(_inert(json.dumps(colours))),
        rows_json=_raw(_inert(json.dumps([asdict(row) for row in rows], ensure_ascii=False))),
    )


def _raw(text: str) -> Any:
    """Mark text to be inserted without escaping: our own, or already inert."""
    return Markup(text)  # noqa: S704


def _inert(text: str) -> str:
    """Escape JSON so that no markup can begin or end in it."""
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
