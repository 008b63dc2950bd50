"""What the terminal shows of a forecast: rows and tokens to come, time and cost by size, and how it was graded."""

from collections.abc import Iterator

from rich.table import Table

from oasis_ray.cli.tables import clock, money
from oasis_ray.cost.estimate import Estimate
from oasis_ray.cost.forecast import MEMORY, Forecast, scaled

NODE_COLUMNS = ("rows in", "rejected", "failed", "tokens read", "tokens written")
WORTH = 0.005  # a share of the engine time that is worth changing an order for
SHORT = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
SHORT_FROM = 1e4


def opening(forecast: Forecast) -> str:
    """What the forecast is of, and how sure it is."""
    return (
        f"forecast for {forecast.rows} rows from a probe of {forecast.probe_rows}; "
        f"in brackets what should hold the figure {forecast.confidence:.0%} of the time"
    )


def nodes(forecast: Forecast) -> Table:
    """Rows and tokens to come, node by node, and rows by outcome."""
    table = _table("node", *NODE_COLUMNS)
    found = {(one.what, one.of): one for one in forecast.figures}
    for name in dict.fromkeys(one.of for one in forecast.figures if one.what == "rows in"):
        cells = [found.get((what, name)) for what in NODE_COLUMNS]
        table.add_row(name, *("" if one is None else spread(one) for one in cells))
    table.add_section()
    for one in (one for one in forecast.figures if one.what == "rows"):
        table.add_row(one.of, spread(one))
    return table


def sizes(forecast: Forecast) -> Table:
    """Time and cost: with the engines of the probe, and with one more, time and again, where the bottleneck is."""
    pools = list(forecast.sizes[0].engines)
    on_gpus = any(size.all_gpu_hours.high for size in forecast.sizes)
    priced = on_gpus and forecast.gpu_hour is not None
    table = _table(*(f"engines {pool}" for pool in pools), "bottleneck", "wall time", *["GPU-hours"] * on_gpus,
                   *[str(forecast.currency)] * priced)  # fmt: skip
    for size in forecast.sizes:
        cells = [f"{size.engines[pool]:g}" for pool in pools]
        cells += [f"{size.bottleneck} ({size.sure:.0%} sure)", spread(size.wall_s)]
        if on_gpus:
            cells.append(spread(size.all_gpu_hours))
        if priced:
            cells.append(spread(scaled(size.all_gpu_hours, "money", forecast.gpu_hour or 0.0)))
        table.add_row(*cells)
    return table


def remarks(forecast: Forecast) -> Iterator[str]:
    """Prices of other GPUs, and orders of judges that would cost less."""
    for one in (one for one in forecast.figures if one.what == MEMORY):
        yield f"peak memory of this machine, MiB: {spread(one)}"
    hours = forecast.sizes[0].all_gpu_hours if forecast.sizes else None
    if hours is not None and hours.high and forecast.gpu_hours_at:
        told = ", ".join(
            f"{name} {spread(scaled(hours, 'money', price))}" for name, price in forecast.gpu_hours_at.items()
        )
        yield f"at the prices of other GPUs, were they as fast ({forecast.currency}): {told}"
    for order in forecast.orders:
        if order.saving < WORTH:
            yield f"no order of the judges costs much less than {' → '.join(order.judges)}"
        else:
            yield (
                f"the job would take {order.saving:.1%} less engine time if its judges stood in the order "
                f"{' → '.join(order.best)} (they stand {' → '.join(order.judges)})"
            )


def grades(forecast: Forecast) -> Table:
    """Every figure that came to lie outside, and the sums: what was predicted, and what came."""
    table = _table("figure", "predicted", "came to", "inside")
    for one in forecast.graded:
        if (
            one.inside
            and one.what not in ("rows", "wall time, s", "money", MEMORY)
            and (one.what, one.of) != ("GPU-hours", "")
        ):
            continue
        came = _number(one, one.actual or 0.0)
        table.add_row(f"{one.what} {one.of}".strip(), spread(one), came, "yes" if one.inside else "no")
    return table


def verdict(forecast: Forecast) -> str:
    """How the forecast was graded, in a line."""
    inside = sum(one.inside is True for one in forecast.graded)
    said = f"the forecast: {inside} of {len(forecast.graded)} figures came to lie in their intervals"
    if forecast.sizes and forecast.actual_bottleneck:
        said += f"; the bottleneck was {forecast.actual_bottleneck}, "
        predicted = forecast.sizes[0].bottleneck
        said += "as predicted" if predicted == forecast.actual_bottleneck else f"not {predicted}"
    return said


def spread(figure: Estimate) -> str:
    """The predicted value and its interval."""
    at, low, high = (_number(figure, value) for value in (figure.predicted, figure.low, figure.high))
    return f"{at} [{low}–{high}]"


def _number(figure: Estimate, value: float) -> str:
    if figure.what == "wall time, s":
        return clock(value)
    if figure.what in ("GPU-hours", "money"):
        return money(value)
    if value < SHORT_FROM:
        return f"{value:.0f}"
    size, letter = next((size, letter) for size, letter in SHORT if value >= size)
    return f"{value / size:.4g}{letter}"


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    return table
