"""What bench/scale found, as a table and as a picture."""

import math
import statistics

from document import markdown_table
from plot import GRID, INK, number, text

WIDTH, HEIGHT, GAP = 280, 190, 60  # of a panel, and around it
ACROSS = 3
LINES = {"leat_us": ("CPU a record, leat", "#1f77b4"), "all_us": ("with PostgreSQL and broker", "#d62728"),
         "records_s": ("records/s", "#2ca02c")}
HEAD = ["", "records/s", "leat us", "PostgreSQL us", "broker us", "WAL bytes", "row writes", "records a batch", "steepness, leat", "steepness, all"]
COLUMNS = {"records_s": ",.0f", "leat_us": ".1f", "postgres_us": ".1f", "broker_us": ".1f", "wal_bytes": ",.0f", "row_writes": ".2f",
           "batch_records": ",.0f", "steepness_leat": ".2f", "steepness_all": ".2f"}
BEGIN, END = "<!-- made by bench/scale --docs -->", "<!-- until here -->"


def steepness(size_before, size, cost_before, cost):
    """0: a record costs as much as before; 1: it costs more as its size does. (The slope in a plot whose axes are both logarithmic.)"""
    return math.log(max(cost, 0.01) / max(cost_before, 0.01)) / math.log(size / size_before)


# ---- the table ----


def caption(machine, records, runs, was_quiet):
    times = "one run" if runs == 1 else f"{runs} runs, median (min to max)"
    busy = "" if was_quiet else ", on a machine that was not quiet (ratios say something, rates do not)"
    return f"{machine}; {records:,} records, {times}{busy}:"


def cell(values, form):
    low, middle, high = (f"{value:{form}}" for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def markdown(figures, shown):
    """`shown`: {dimension: (title, {value: its name})}"""
    rows = [HEAD]
    for name, (title, values) in shown.items():
        for value, label in values.items():
            cells = [figures.samples.get(f"{figure}_{name}_{value}") for figure in COLUMNS]
            rows.append([f"{title}: {label}", *(cell(one, form) if one else "" for one, form in zip(cells, COLUMNS.values()))])
    return markdown_table(rows)


# ---- the picture ----


class Panel:
    """One dimension: its sizes to the right, upwards how many times the first size's figure; both by powers."""

    def __init__(self, place, values, ratios):
        self.left = GAP + place % ACROSS * (WIDTH + GAP)
        self.top = 2 * GAP + place // ACROSS * (HEIGHT + 2 * GAP)
        self.first, self.last = math.log(min(values)), math.log(max(values))
        self.low = math.floor(min(0, *(math.log10(ratio) for ratio in ratios)))
        self.high = math.ceil(max(0.5, *(math.log10(ratio) for ratio in ratios)))

    def at(self, value, ratio):
        x = (math.log(value) - self.first) / (self.last - self.first)
        y = (min(max(math.log10(ratio), self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + WIDTH * x, self.top + HEIGHT * (1 - y)

    def frame(self, title, values):
        out = [text(self.left + WIDTH / 2, self.top - 12, title, 13, "middle")]
        for power in range(self.low, self.high + 1):
            _, y = self.at(min(values), 10 ** power)
            out.append(f'<line x1="{self.left}" y1="{y:.1f}" x2="{self.left + WIDTH}" y2="{y:.1f}" stroke="{GRID}"/>')
            out.append(text(self.left - 6, y + 4, f"{number(10 ** power)}x", 11, "end"))
        for value, label in values.items():
            out.append(text(self.at(value, 1)[0], self.top + HEIGHT + 16, label, 11, "middle"))
        return [*out, f'<rect x="{self.left}" y="{self.top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>']

    def linear(self, first, last):
        """As the size grows, up to the frame."""
        end = min(last, first * 10 ** self.high)
        (x0, y0), (x1, y1) = self.at(first, 1), self.at(end, end / first)
        return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{INK}" stroke-dasharray="4 4"/>'

    def line(self, points, colour):
        places = [self.at(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        return "".join([f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>', *dots])


def ratios_of(figures, name, values, figure):
    medians = [figures.median(f"{figure}_{name}_{value}") for value in values]
    return [max(median, 1e-9) / max(medians[0], 1e-9) for median in medians]


def picture(figures, shown):
    """SVG: a panel for each dimension."""
    rows = math.ceil(len(shown) / ACROSS)
    width, height = ACROSS * (WIDTH + GAP) + GAP, 2 * GAP + rows * (HEIGHT + 2 * GAP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">', '<rect width="100%" height="100%" fill="white"/>',
           text(GAP, 28, "How the cost of a record grows: times the smallest size", 15)]
    for i, (words, colour) in enumerate([*LINES.values(), ("- - in proportion to the size", INK)]):
        out.append(text(GAP + 220 * i, 56, words, 12, colour=colour))
    for place, (name, (title, values)) in enumerate(shown.items()):
        lines = {figure: ratios_of(figures, name, values, figure) for figure in LINES}
        panel = Panel(place, values, [ratio for line in lines.values() for ratio in line])
        out += panel.frame(title, values)
        out.append(panel.linear(min(values), max(values)))
        out += [panel.line(list(zip(values, line)), LINES[figure][1]) for figure, line in lines.items()]
    return "\n".join([*out, "</svg>"]) + "\n"
