"""Pictures as SVG, written by hand: something over time in panels side by side, as without and with the trouble; and bars."""

import math
from pathlib import Path

WIDTH, HEIGHT, GAP = 420, 240, 70  # of a panel, and around each
INK, GRID, SHADE = "#333", "#ddd", "#fbe9e7"
COLOURS = {"p50": "#1f77b4", "p99": "#d62728", "p99, sharing": "#9e9e9e", "sync": "#d62728", "async": "#1f77b4"}


def escaped(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, words, size=12, anchor="start", colour=INK, turn=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
            f'{turn} font-family="DejaVu Sans, Arial, sans-serif">{escaped(words)}</text>')


class Axes:
    """Seconds to the right; upwards either as they are, or by powers of ten."""

    def __init__(self, left, top, x_max, y_min, y_max, log):
        self.left, self.top, self.x_max, self.log = left, top, max(x_max, 1e-9), log
        self.y_min, self.y_max = (math.log10(y_min), math.log10(y_max)) if log else (y_min, y_max)

    def at(self, x, y):
        if self.log:
            y = math.log10(max(y, 10 ** self.y_min))
        up = (min(y, self.y_max) - self.y_min) / max(self.y_max - self.y_min, 1e-9)
        return self.left + WIDTH * x / self.x_max, self.top + HEIGHT * (1 - up)

    def ticks(self):
        if self.log:
            return [10 ** e for e in range(math.ceil(self.y_min), math.floor(self.y_max) + 1)]
        step = 10 ** math.floor(math.log10(max(self.y_max, 1e-9)))
        step = step if self.y_max / step >= 2.5 else step / 4
        return [step * i for i in range(int(self.y_max / step) + 1)]


def number(value):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def panel(axes, title, lines, shaded, unit):
    """`lines`: {name: [(second, value)]}; `shaded`: (from, to), or None."""
    out = [text(axes.left + WIDTH / 2, axes.top - 10, title, 13, "middle")]
    if shaded:
        x0, x1 = (axes.left + WIDTH * min(s, axes.x_max) / axes.x_max for s in shaded)
        out.append(f'<rect x="{x0:.1f}" y="{axes.top}" width="{x1 - x0:.1f}" height="{HEIGHT}" fill="{SHADE}"/>')
    for tick in axes.ticks():
        _, y = axes.at(0, tick)
        out.append(f'<line x1="{axes.left}" y1="{y:.1f}" x2="{axes.left + WIDTH}" y2="{y:.1f}" stroke="{GRID}"/>')
        out.append(text(axes.left - 6, y + 4, number(tick), 11, "end"))
    out.append(f'<rect x="{axes.left}" y="{axes.top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>')
    for i in range(0, 5):
        x = axes.left + WIDTH * i / 4
        out.append(text(x, axes.top + HEIGHT + 16, f"{axes.x_max * i / 4:.0f} s", 11, "middle"))
    for i, (name, points) in enumerate(lines.items()):
        colour = COLOURS.get(name, list(COLOURS.values())[i % 2])
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.at(*point) for point in points if point[1] is not None))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out.append(text(axes.left + 8 + 150 * i, axes.top + 16, name + (f", {unit}" if unit else ""), 12, colour=colour))
    return "\n".join(out)


def picture(title, panels, unit="ms", log=True, note=""):
    """SVG. `panels`: of (title, {name: [(second, value)]}, (from, to) or None), beside each other. All have the same axes."""
    values = [v for _, lines, _ in panels for points in lines.values() for _, v in points if v is not None] or [1]
    seconds = [s for _, lines, _ in panels for points in lines.values() for s, _ in points] or [1]
    top = 10 ** math.ceil(math.log10(max(max(values), 2))) if log else max(max(values), 1) * 1.05
    height = HEIGHT + 2 * GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(panels) * (WIDTH + GAP) + GAP}" height="{height}">',
           '<rect width="100%" height="100%" fill="white"/>', text(GAP, 24, title, 15)]
    for i, (name, lines, shaded) in enumerate(panels):
        axes = Axes(GAP + i * (WIDTH + GAP), GAP, max(seconds), 1 if log else 0, top, log)
        out.append(panel(axes, name, lines, shaded, unit))
    if note:
        out.append(text(GAP, height - 14, note, 12))
    return "\n".join([*out, "</svg>"]) + "\n"


def side_by_side(file, *arguments, **options):
    """`picture` as a file."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(picture(*arguments, **options))


# ---- bars ----

BAR, LABELS, BARS_WIDTH, VALUES = 22, 250, 190, 110  # height of a bar's row; widths: of the names, of the longest bar, of the values
FIRST, OTHER = "#1f77b4", "#b0b7bf"


def bar_rows(left, top, rows):
    most = max(value for _, value, _ in rows) or 1
    for i, (_, value, words) in enumerate(rows):
        y, width = top + i * BAR, max(BARS_WIDTH * value / most, 1)
        yield f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{BAR - 6}" fill="{OTHER if i else FIRST}"/>'
        yield text(left + width + 6, y + 12, words, 11)


def bars(title, panels, note=""):
    """SVG: panels of horizontal bars beside each other, each with a scale of its own. `panels`: (title, [(name, value, its words)]), all
    with the same names; the first name stands out."""
    top, step = 76, BARS_WIDTH + VALUES
    height = top + BAR * len(panels[0][1]) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABELS + step * len(panels) + 10}" height="{height}">',
           '<rect width="100%" height="100%" fill="white"/>', text(14, 26, title, 15)]
    for i, (name, _, _) in enumerate(panels[0][1]):
        out.append(text(LABELS - 10, top + i * BAR + 12, name, 12, "end"))
    for i, (name, rows) in enumerate(panels):
        out += [text(LABELS + i * step, top - 14, name, 13), *bar_rows(LABELS + i * step, top, rows)]
    return "\n".join([*out, text(14, height - 12, note, 10, colour="#666"), "</svg>"]) + "\n"
