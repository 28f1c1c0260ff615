"""What benchmarks/soak.py draws: a panel a figure, minute by minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FIGURES", "drawing", "quarters", "table"]

FIGURES = {
    "memory": "private memory, MB",
    "files": "mapped of files, MB",
    "descriptors": "descriptors",
    "maps": "maps",
    "threads": "threads",
    "processor": "processor, ms a request",
    "median": "median latency, ms",
    "p99": "p99 latency, ms",
}
WIDTH, HEIGHT, LEFT, TOP, SIDE, GAP = 1080, 500, 60, 40, 190, 75  # of the drawing and of each panel in it
Rows = Sequence[Mapping[str, float]]


def quarters(rows: Rows, name: str) -> tuple[float, float]:
    """A figure's mean in the second quarter and in the last."""
    quarter = max(1, len(rows) // 4)
    second, last = rows[quarter : 2 * quarter] or rows, rows[-quarter:]
    return tuple(sum(row[name] for row in some) / len(some) for some in (second, last))  # type: ignore[return-value]


def table(rows: Rows) -> str:
    lines = ["| | second quarter | last quarter | change |", "| --- | --- | --- | --- |"]
    for name, title in FIGURES.items():
        second, last = quarters(rows, name)
        lines.append(f"| {title} | {second:.4g} | {last:.4g} | {100 * (last / second - 1):+.1f} % |")
    return "\n".join(lines)


def drawing(rows: Rows) -> str:
    panels = "".join(
        panel(rows, name, title, LEFT + (number % 4) * (SIDE + GAP), TOP + (number // 4) * (SIDE + 50))
        for number, (name, title) in enumerate(FIGURES.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{panels}</svg>\n'
    )


def panel(rows: Rows, name: str, title: str, left: int, top: int) -> str:
    """From zero up, so that what is flat looks flat; the dashed line is the second quarter's mean."""
    most, second = max(row[name] for row in rows) or 1.0, quarters(rows, name)[0]
    line = " ".join(
        f"{left + SIDE * row['minute'] / rows[-1]['minute']:.1f},{up(row[name], most, top):.1f}" for row in rows
    )
    mean = up(second, most, top)
    return (
        f'<text x="{left}" y="{top - 10}" font-weight="bold">{title}</text>'
        f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
        f'<line x1="{left}" y1="{mean:.1f}" x2="{left + SIDE}" y2="{mean:.1f}" stroke="#c0504d" stroke-dasharray="4"/>'
        f'<polyline points="{line}" stroke="#1b5e9c" stroke-width="1.5" fill="none"/>'
        f'<text x="{left - 6}" y="{up(most, most, top) + 4:.1f}" text-anchor="end">{most:.3g}</text>'
        f'<text x="{left - 6}" y="{top + SIDE}" text-anchor="end">0</text>'
        f'<text x="{left + SIDE}" y="{top + SIDE + 16}" text-anchor="end">{rows[-1]["minute"]:.0f} min</text>'
    )


def up(value: float, most: float, top: int) -> float:
    return top + SIDE * (1 - 0.95 * value / most)
