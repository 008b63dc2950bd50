"""Tables of a forecast: rows and tokens by node, time and cost by number of engines, and its evaluation."""

from collections.abc import Iterator

from rich.table import Table

from oasis_ray.cli.tables import clock, money
from oasis_ray.cost.forecast import MEMORY, Forecast, scaled
from oasis_ray.cost.interval_estimate import Estimate
from oasis_ray.errors import counted

NODE_COLUMNS = ("rows in", "rejected", "failed", "tokens read", "tokens written")
HEADERS = {"tokens read": "prompt tokens", "tokens written": "output tokens"}
WORTH = 0.005  # smallest saving of engine time for which another order of judges is suggested
SHORT = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
SHORT_FROM = 1e4


def opening(forecast: Forecast) -> str:
    """Headline of a forecast: rows, rows of the probe, and confidence of the intervals."""
    return (
        f"forecast for {forecast.rows} rows from a probe of {forecast.probe_rows}; "
        f"{forecast.confidence:.0%} intervals in brackets"
    )


def nodes(forecast: Forecast) -> Table:
    """Table of predicted rows and tokens by node, and of rows by outcome."""
    table = _table("node", *(HEADERS.get(what, what) for what in NODE_COLUMNS))
    estimates = {(estimate.what, estimate.of): estimate for estimate in forecast.figures}
    for name in dict.fromkeys(estimate.of for estimate in forecast.figures if estimate.what == "rows in"):
        cells = [estimates.get((what, name)) for what in NODE_COLUMNS]
        table.add_row(name, *("" if estimate is None else spread(estimate) for estimate in cells))
    table.add_section()
    for estimate in (estimate for estimate in forecast.figures if estimate.what == "rows"):
        table.add_row(estimate.of, spread(estimate))
    return table


def sizes(forecast: Forecast) -> Table:
    """Table of time and cost: with the engines of the probe, then with one more engine at the bottleneck at a time."""
    pools = list(forecast.sizes[0].engines)
    on_gpus = any(size.all_gpu_hours.high for size in forecast.sizes)
    priced = on_gpus and forecast.gpu_hour is not None
    table = _table(*(f"engines {pool}" for pool in pools), "bottleneck (confidence)", "wall time",
                   *["GPU-hours"] * on_gpus, *[str(forecast.currency)] * priced)  # fmt: skip
    for size in forecast.sizes:
        cells = [f"{size.engines[pool]:g}" for pool in pools]
        cells += [f"{size.bottleneck} ({size.sure:.0%})", spread(size.wall_s)]
        if on_gpus:
            cells.append(spread(size.all_gpu_hours))
        if priced:
            cells.append(spread(scaled(size.all_gpu_hours, "money", forecast.gpu_hour or 0.0)))
        table.add_row(*cells)
    return table


def remarks(forecast: Forecast) -> Iterator[str]:
    """Yield further lines: peak memory, cost on other GPUs, and orders of judges that would cost less."""
    for estimate in (estimate for estimate in forecast.figures if estimate.what == MEMORY):
        yield f"peak memory of this machine, MiB: {spread(estimate)}"
    hours = forecast.sizes[0].all_gpu_hours if forecast.sizes else None
    if hours is not None and hours.high and forecast.gpu_hours_at:
        costs = ", ".join(
            f"{name} {spread(scaled(hours, 'money', price))}" for name, price in forecast.gpu_hours_at.items()
        )
        yield f"cost at the prices of other GPUs, assuming equal speed ({forecast.currency}): {costs}"
    for order in forecast.orders:
        if order.saving < WORTH:
            yield f"no order of the judges costs much less than the present one: {' → '.join(order.judges)}"
        else:
            yield (
                f"the job would take {order.saving:.1%} less engine time with the judges in the order "
                f"{' → '.join(order.best)} (now: {' → '.join(order.judges)})"
            )


def numbers(forecast: Forecast) -> Iterator[str]:
    """Yield lines on the scores with decimals and the probabilities of nodes: quantiles, and shares by threshold."""
    for one in forecast.numbers:
        quantiles = ", ".join(f"{point}% {number:.4g}" for point, number in one.quantiles.items())
        yield f"numbers of {one.node} ({counted(one.rows, 'element' if one.elements else 'row')}): {quantiles}"
        if one.at_least:
            shares = ", ".join(f"{threshold:g} {share:.1%}" for threshold, share in one.at_least.items())
            yield f"  of which at_least would keep: {shares}"


def grades(forecast: Forecast) -> Table:
    """Table of predicted and actual values: the totals, and every estimate whose interval missed the actual value."""
    table = _table("quantity", "predicted", "actual", "within interval")
    for estimate in forecast.graded:
        if (
            estimate.inside
            and estimate.what not in ("rows", "wall time, s", "money", MEMORY)
            and (estimate.what, estimate.of) != ("GPU-hours", "")
        ):
            continue
        actual = _number(estimate, estimate.actual or 0.0)
        name = f"{HEADERS.get(estimate.what, estimate.what)} {estimate.of}".strip()
        table.add_row(name, spread(estimate), actual, "yes" if estimate.inside else "no")
    return table


def verdict(forecast: Forecast) -> str:
    """Summary of the evaluation in one line."""
    inside = sum(estimate.inside is True for estimate in forecast.graded)
    summary = f"the forecast: {inside} of {len(forecast.graded)} values fell within their intervals"
    if forecast.sizes and forecast.actual_bottleneck:
        summary += f"; the bottleneck was {forecast.actual_bottleneck}, "
        predicted = forecast.sizes[0].bottleneck
        summary += "as predicted" if predicted == forecast.actual_bottleneck else f"not {predicted}"
    return summary


def spread(estimate: Estimate) -> str:
    """Return an estimate as text: the predicted value and its interval."""
    at, low, high = (_number(estimate, value) for value in (estimate.predicted, estimate.low, estimate.high))
    return f"{at} [{low}–{high}]"


def _number(estimate: Estimate, value: float) -> str:
    if estimate.what == "wall time, s":
        return clock(value)
    if estimate.what in ("GPU-hours", "money"):
        return money(value)
    if value < SHORT_FROM:
        return f"{value:.0f}"
    size, letter = next((size, letter) for size, letter in SHORT if value >= size)
    return f"{value / size:.4g}{letter}"


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table
