"""What bench/versus found: as text, as a table in Markdown and as a picture."""

import datetime
import os
import re
import shlex
import sys
from pathlib import Path

from measure import machine
from plot import bars

FIGURES = ("records_s", "own_cpu_us", "postgres_cpu_us", "broker_cpu_us", "rss_mib")
HEADS = {"records_s": "records/s", "own_cpu_us": "own CPU us", "postgres_cpu_us": "PostgreSQL us", "broker_cpu_us": "broker us",
         "rss_mib": "RSS MiB"}
LOAD_TITLES = {"uniform": "uniform keys", "zipf": "Zipf 1.1", "hot": "one hot key"}
BEGIN, END = "<!-- bench/versus: what it found -->", "<!-- bench/versus: end -->"


def number(value, digits=3):
    return f"{value:,.0f}" if value >= 100 else f"{value:.{digits}g}"


class Report:
    """`kinds`: {contender: its Kind}, leat first."""

    def __init__(self, figures, kinds, loads, options):
        self.figures, self.kinds, self.loads, self.options = figures, kinds, loads, options

    def median(self, load, name, figure):
        return self.figures.median(f"{load}_{name}_{figure}")

    def ratio(self, load, name, figure):
        """Of leat's, in the same round."""
        return 1.0 if name == "leat" else self.median(load, name, f"{figure}_of_leat")

    def about(self, quote=""):
        command = shlex.join(["bench/versus", *sys.argv[1:]])
        return (f"{datetime.date.today()}, {machine()}; {self.options.records:,} records over {self.options.keys:,} rows, "
                f"median of {self.options.runs} rounds: {quote}{command}{quote}")

    # ---- as text ----

    def text(self):
        out = [self.about(), "in brackets: of leat's in the same round"]
        for load in self.loads:
            out += ["", f"{LOAD_TITLES[load]:18}" + "".join(f"{head:>20}" for head in HEADS.values()) + "  records/s min to max"]
            for name in self.kinds:
                cells = [f"{number(self.median(load, name, f))} ({number(self.ratio(load, name, f), 2)})" for f in FIGURES]
                spread = self.figures.samples[f"{load}_{name}_records_s"]
                out.append(f"{name:18}" + "".join(f"{cell:>20}" for cell in cells) + f"  {min(spread):,.0f} to {max(spread):,.0f}")
        return "\n".join(out)

    # ---- as Markdown ----

    def rate_cell(self, load, name):
        rate = number(self.median(load, name, "records_s"))
        return rate if name == "leat" else f"{rate} ({number(self.ratio(load, name, 'records_s'), 2)})"

    def markdown(self):
        heads = ["", *(f"{LOAD_TITLES[load]}: records/s" for load in self.loads), "CPU us a record, own + PostgreSQL", "RSS MiB",
                 "counters after a crash"]
        rows = [heads, ["---"] * len(heads)]
        for name, kind in self.kinds.items():
            cpu = " + ".join(number(self.median("uniform", name, f)) for f in ("own_cpu_us", "postgres_cpu_us"))
            rows.append([kind.what, *(self.rate_cell(load, name) for load in self.loads), cpu,
                         number(max(self.median(load, name, "rss_mib") for load in self.loads)), kind.after_a_crash])
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    def put_into(self, file, picture):
        """What stands there between the two comments becomes the table, and the picture if there is one."""
        path = Path(file)
        found = re.search(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", path.read_text(), re.S)
        if not found:
            sys.exit(f"error: --into: {file} has no line {BEGIN} with a line {END} behind it")
        parts = [BEGIN, "", self.markdown(), ""]
        if picture:
            parts += [f"![records/s of leat and of other ways, each over the same records]({os.path.relpath(picture, path.parent)})", ""]
        parts += [f"In brackets: of leat's in the same round. CPU time with uniform keys; RSS the most of all loads. {self.about('`')}", "", END]
        path.write_text(path.read_text().replace(found.group(), "\n".join(parts)))

    # ---- as a picture ----

    def draw(self, file):
        panels = [(LOAD_TITLES[load], [(kind.what, self.median(load, name, "records_s"), self.rate_cell(load, name))
                                       for name, kind in self.kinds.items()]) for load in self.loads]
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(bars("From a Kafka topic into a PostgreSQL table: records/s (in brackets: of leat's)", panels, self.about()))
