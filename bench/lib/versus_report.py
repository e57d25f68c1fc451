"""What bench/versus found: as text, as a table in Markdown and as a picture."""

import datetime
import os
import sys
from pathlib import Path

from document import markdown_table, put_between
from measure import command_of, machine
from plot import bars

FIGURES = ("records_s", "own_cpu_us", "postgres_cpu_us", "broker_cpu_us", "pss_mib")
HEADS = {"records_s": "records/s", "own_cpu_us": "own CPU us", "postgres_cpu_us": "PostgreSQL us", "broker_cpu_us": "broker us",
         "pss_mib": "memory MiB"}
LOAD_TITLES = {"uniform": "uniform keys", "zipf": "Zipf 1.1", "hot": "one hot key"}
BEGIN, END = "<!-- bench/versus: what it found -->", "<!-- bench/versus: end -->"


def number(value, digits=3):
    """No more digits than say something."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


class Report:
    """Of the Results of bench/versus. A cell without figures says why."""

    def __init__(self, results, loads, options):
        self.figures, self.failed, self.early, self.loads, self.options = results.figures, results.failed, results.early, loads, options
        self.kinds = {name: contender.kind for name, contender in results.who.items()}  # leat first

    def samples(self, load, name, figure="records_s"):
        return self.figures.samples.get(f"{load}_{name}_{figure}", [])

    def why_none(self, load, name):
        return "failed" if self.failed.get(name) == load else "not measured"

    def median(self, load, name, figure):
        return self.figures.median(f"{load}_{name}_{figure}")

    def rate(self, load, name):
        return self.median(load, name, "records_s") if self.samples(load, name) else 0

    def ratio(self, load, name, figure):
        """Of leat's, in the same round."""
        return 1.0 if name == "leat" else self.median(load, name, f"{figure}_of_leat")

    def about(self, quote=""):
        command = command_of("bench/versus", sys.argv[1:])
        return (f"{datetime.date.today()}, {machine()}; {self.options.records:,} records over {self.options.keys:,} rows, "
                f"{self.rounds()}: {quote}{command}{quote}")

    def rounds(self):
        counts = [len(self.samples(load, "leat")) for load in self.loads]
        return f"n = {counts[0]}" if len(set(counts)) == 1 else "n = " + ", ".join(
            f"{count} ({LOAD_TITLES[load]})" for load, count in zip(self.loads, counts))

    # ---- as text ----

    def text(self):
        out = [self.about(), "in brackets: of leat's in the same round"]
        for load in self.loads:
            out += ["", f"{LOAD_TITLES[load]:18}" + "".join(f"{head:>20}" for head in HEADS.values()) + "   n  records/s min to max"]
            for name in self.kinds:
                spread = self.samples(load, name)
                if not spread:
                    out.append(f"{name:18}{self.why_none(load, name):>20}")
                    continue
                cells = [f"{number(self.median(load, name, f))} ({number(self.ratio(load, name, f), 2)})" for f in FIGURES]
                out.append(f"{name:18}" + "".join(f"{cell:>20}" for cell in cells) +
                           f"{len(spread):4}  {min(spread):,.0f} to {max(spread):,.0f}{self.stopped(load, name)}")
        return "\n".join(out)

    def stopped(self, load, name):
        compared, rows = self.early.get((load, name), (0, 0))
        return f"; stopped early: {compared:,} of {rows:,} rows compared" if rows else ""

    # ---- as Markdown ----

    def spread(self, load, name):
        """Of several rounds."""
        rates = self.samples(load, name)
        return f" ± {50 * (max(rates) - min(rates)) / self.median(load, name, 'records_s'):.0f} %" if len(rates) > 1 else ""

    def rate_cell(self, load, name):
        if not self.samples(load, name):
            return self.why_none(load, name)
        rate = number(self.median(load, name, "records_s")) + ("*" if (load, name) in self.early else "") + self.spread(load, name)
        return rate if name == "leat" else f"{rate} ({number(self.ratio(load, name, 'records_s'), 2)})"

    def cpu_cell(self, name):
        load = self.loads[0]
        if not self.samples(load, name):
            return self.why_none(load, name)
        return " + ".join(number(self.median(load, name, figure), 2) for figure in ("own_cpu_us", "postgres_cpu_us"))

    def memory_cell(self, name):
        found = [self.median(load, name, "pss_mib") for load in self.loads if self.samples(load, name)]
        return number(max(found), 2) if found else "not measured"

    def notes(self):
        """What the table's cells mean."""
        early = " *: slow, stopped early; only rows that it was through with were compared." if self.early else ""
        spread = " ±: half of the way from the slowest round to the fastest." if any(
            len(self.samples(load, "leat")) > 1 for load in self.loads) else ""
        return f"In brackets: of leat's in the same round.{spread} CPU time with uniform keys; memory (PSS) is the most of all loads, of the Java machines with -Xmx512M.{early}"

    def markdown(self):
        heads = ["", *(f"{LOAD_TITLES[load]}: records/s" for load in self.loads), "CPU us a record, own + PostgreSQL", "memory MiB",
                 "counters after a crash"]
        rows = [[kind.what, *(self.rate_cell(load, name) for load in self.loads), self.cpu_cell(name), self.memory_cell(name),
                 kind.after_a_crash] for name, kind in self.kinds.items()]
        return markdown_table([heads, *rows])

    def put_into(self, file, picture):
        """What stands there between the two comments becomes the table, and the picture if there is one."""
        parts = [self.markdown(), ""]
        if picture:
            parts += [f"![records/s of leat and of other ways, each over the same records]({os.path.relpath(picture, Path(file).parent)})", ""]
        put_between(file, BEGIN, END, "\n".join([*parts, f"{self.notes()} {self.about('`')}"]))

    # ---- as a picture ----

    def draw(self, file):
        panels = [(LOAD_TITLES[load], [(kind.what, self.rate(load, name), self.rate_cell(load, name)) for name, kind in self.kinds.items()])
                  for load in self.loads]
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(bars("From a Kafka topic into a PostgreSQL table: records/s (in brackets: of leat's)", panels, self.about()))
