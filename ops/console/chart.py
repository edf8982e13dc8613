"""Small charts, drawn on the server: pure geometry, which a template writes as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One rectangle of a stacked column, in the units of the chart's view box."""

    x: float
    y: float
    width: float
    height: float
    series: str


@dataclass(frozen=True)
class Column:
    """One place on the x axis: its bars from the bottom up, and its whole as a number."""

    x: float
    width: float
    total: int
    bars: tuple[Bar, ...]


def stack(
    rows: Sequence[Mapping[str, int]], series: Sequence[str], *, width: float, height: float, gap: float = 2.0
) -> tuple[Column, ...]:
    """Stack each row's `series` into a column; the tallest fills `height`, all together fill `width`.

    A value above zero is drawn at least one unit high, so that one failure among thousands is seen.
    """
    if not rows:
        return ()
    totals = [sum(row[name] for name in series) for row in rows]
    scale = height / max(totals) if max(totals) else 0.0
    step = width / len(rows)
    return tuple(
        Column(
            x=round(place * step, 2),
            width=round(step - gap, 2),
            total=total,
            bars=stack_one(row, series, x=place * step, width=step - gap, height=height, scale=scale),
        )
        for place, (row, total) in enumerate(zip(rows, totals, strict=True))
    )


def stack_one(
    row: Mapping[str, int], series: Sequence[str], *, x: float, width: float, height: float, scale: float
) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    top = height
    for name in series:
        if not row[name]:
            continue
        tall = max(row[name] * scale, 1.0)
        top = max(top - tall, 0.0)
        bars.append(Bar(round(x, 2), round(top, 2), round(width, 2), round(tall, 2), name))
    return tuple(bars)
