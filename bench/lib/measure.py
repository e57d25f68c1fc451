"""What the benchmarks share: which programs they run, two builds in turn, CPU time of processes, a quiet machine, when probes were
seen, how figures are printed."""

import argparse
import json
import os
import re
import shlex
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

RELEASE = ROOT / "build" / "release"
LEAT = Path(os.environ.get("LEAT_BIN", RELEASE / "leat"))
LOAD = Path(os.environ.get("LEAT_LOAD_BIN", RELEASE / "leat-load"))
CEILING = RELEASE / "leat-ceiling"
TICK = os.sysconf("SC_CLK_TCK")
LEAST = 0.01  # of what is divided: the clock ticks of a short run may be none
SANITIZERS = {"asan": "AddressSanitizer", "ubsan": "UndefinedBehaviorSanitizer", "tsan": "ThreadSanitizer"}


# ---- programs ----


def sanitizers(program):
    """Those that it was built with: it has the names of their functions, linked dynamically or not."""
    found = set(re.findall(rb"\0__(asan|ubsan|tsan)_", Path(program).read_bytes()))
    return sorted(SANITIZERS[name.decode()] for name in found)


def check_program(program):
    """Ends the benchmark if figures of this program would say nothing about leat."""
    if not program.exists():
        sys.exit(f"error: {program} does not exist: run scripts/build release")
    if names := sanitizers(program):
        sys.exit(f"error: {program} was built with {' and '.join(names)}, which makes it several times slower: "
                 "run scripts/build release")


# ---- two builds in turn ----


NEW, OLD = "new", "old"


def builds(options):
    """{NEW: this checkout's leat}, with --old DIR also {OLD: DIR/leat}."""
    found = {NEW: LEAT, **({OLD: Path(options.old).resolve() / "leat"} if options.old else {})}
    for program in found.values():
        check_program(program)
    return found


def turn(names, number):
    """Who measures when, in this round: first here, last in the next one."""
    return list(names)[::-1] if number % 2 else list(names)


def beside_old(found):
    """The figures of a round, of {NEW: its figures} and perhaps {OLD: its}: the new's by their names, the old's as old_NAME, and
    the new's divided by them as of_old_NAME."""
    new, old = found[NEW], found.get(OLD, {})
    return {**new, **{f"old_{name}": value for name, value in old.items()},
            **{f"of_old_{name}": max(new[name], LEAST) / max(value, LEAST) for name, value in old.items()}}


# ---- processor time ----


def stat_fields(pid):
    """Fields of /proc/PID/stat after the command's name: [0] is the state, [1] the parent."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_us(pid, reaped=False):
    """User and system time of a process, all its threads, in microseconds; with those of children that have ended."""
    fields = stat_fields(pid)
    ticks = int(fields[11]) + int(fields[12])
    if reaped:
        ticks += int(fields[13]) + int(fields[14])
    return ticks * 1_000_000 // TICK


def tree_cpu_us(parent):
    """A server's process and every child it has, living or gone."""
    total = cpu_us(parent, reaped=True)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(stat_fields(entry.name)[1]) == parent:
                    total += cpu_us(entry.name)
            except (OSError, IndexError):
                continue
    return total


def session(leader):
    """Process ids of what belongs to the session of this process, without zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = stat_fields(entry.name)
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def session_cpu_us(leader):
    """Of all of them, and of those of their children that have ended."""
    return sum_of(lambda pid: cpu_us(pid, reaped=True), session(leader))


def session_pss_mib(leader):
    """Resident memory of all of them; a page that processes share counts once."""
    return sum_of(pss_kib, session(leader)) / 1024


def pss_kib(pid):
    return int(re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))


def sum_of(figure, pids):
    """One that ends meanwhile has none."""
    total = 0
    for pid in pids:
        try:
            total += figure(pid)
        except (OSError, AttributeError):
            continue
    return total


class Meter:
    """CPU time of leat, PostgreSQL and the broker since it was made or restarted."""

    def __init__(self, own, postmasters, brokers):
        self.own, self.postmasters, self.brokers = own, postmasters, brokers
        self.restart()

    def restart(self):
        self.start = self.read()

    def read(self):
        return {"own": cpu_us(self.own), "postgres": sum(tree_cpu_us(p) for p in self.postmasters),
                "broker": sum(cpu_us(p) for p in self.brokers)}

    def per(self, records):
        now = self.read()
        return {name: round((now[name] - self.start[name]) / max(records, 1), 2) for name in now}


# ---- a quiet machine ----


def busy_cores(seconds=0.5):
    """Cores that anything at all uses now: a figure says little when this is not near 0 before a run."""
    def busy():
        fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return sum(fields) - fields[3] - fields[4]

    before = busy()
    time.sleep(seconds)
    return (busy() - before) / TICK / seconds


def wait_quiet(seconds, limit=0.3):
    """Waits for at most so many seconds until the machine is nearly idle, and returns whether it is; warns if it never is. With 0
    it does neither, and returns False: nobody looked."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if busy_cores() < limit:
            return True
    if seconds > 0:
        print(f"warning: the machine was not quiet within {seconds} s: do not trust the figures", file=sys.stderr)
    return False


# ---- options and figures ----


OPTIONS = {
    "apps": "tenants",
    "backlog": "records in the topic before leat starts",
    "batch": "records a batch",
    "case": "only these cases, with commas",
    "compact_every": "setting apply.compact_every",
    "connections": "of leat to each shard",
    "crowd": "requests that wait at once",
    "docs": "also write the figures into docs/",
    "into": "Markdown file; between its two comments that name bench/versus the table is put",
    "items": "of the file that is sent in batches",
    "keys": "rows that the writes go to",
    "lead": "seconds of load before it is measured",
    "least": "seconds that a window lasts at least: whoever is faster gets more records",
    "minutes": "no round begins that would end later",
    "old": "folder with another build of leat (DIR/leat), measured in turn",
    "only": "only these dimensions, with commas",
    "outage": "seconds for which a shard is away",
    "own": "command that starts another consumer, measured in turn",
    "part": "of the capacity, as the rate",
    "partitions": "of the topic",
    "peers": "which ones, separated by commas",
    "plot": "SVG file to draw",
    "plots": "folder for the pictures",
    "rate": "writes a second",
    "records": "of a run",
    "report": "HTML file to write",
    "requests": "of each kind",
    "rows": "of a batch",
    "seconds": "of a run",
    "shards": "of leat; the second has a server of its own",
    "size": "of a record: usual or small",
    "stall": "seconds for which the database stands still, at least",
    "sync_ms": "how long a sync of the database's disk takes, in addition",
    "vs": "command that starts another server, measured in turn",
    "warm_up": "seconds of updates after the table was filled",
}


def chosen(wanted, cases):
    """Those of `--case`, which may name several; all of them if it is empty."""
    names = wanted.split(",") if wanted else list(cases)
    if strange := [name for name in names if name not in cases]:
        sys.exit(f"error: --case: there is no {strange[0]}: there are {', '.join(cases)}")
    return names


def command_of(name, given):
    """The command as anybody would give it: without the files that the figures went to."""
    rest, kept = iter(given), [name]
    for one in rest:
        if one in ("--report", "--json"):
            next(rest, None)
        elif not one.startswith(("--report=", "--json=")):
            kept.append(one)
    return shlex.join(kept)


def arguments(description, smoke, **defaults):
    """Options of a benchmark: those that all have, and one for each of `defaults`. With --smoke `smoke` takes their place."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False)
    parser.add_argument("--smoke", action="store_true", help="only show that it runs: tiny sizes, figures that say nothing")
    parser.add_argument("--json", metavar="FILE", help="also write the figures as one flat JSON object")
    parser.add_argument("--runs", type=int, default=defaults.pop("runs", 3), help="runs of each kind; the median is shown")
    parser.add_argument("--quiet", type=float, default=60, metavar="SECONDS", help="how long to wait for an idle machine before a run")
    for name, value in defaults.items():
        takes = {"action": "store_true"} if value is False else {"type": type(value), "default": value}
        parser.add_argument("--" + name.replace("_", "-"), help=OPTIONS[name], **takes)
    if parser.parse_known_args()[0].smoke:
        parser.set_defaults(**{"runs": 1, "quiet": 0, **smoke})
    return parser.parse_args()


def progress(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Figures:
    """Medians with their spread, as a table and as a flat JSON object of the medians."""

    def __init__(self):
        self.samples = {}

    def add(self, **values):
        for name, value in values.items():
            self.samples.setdefault(name, []).append(value)

    def drop(self, *beginnings):
        """Those whose names begin so."""
        self.samples = {name: values for name, values in self.samples.items() if not name.startswith(beginnings)}

    def median(self, name):
        return statistics.median(self.samples[name])

    def show(self, json_file=None):
        print(f"{'figure':32} {'median':>12} {'min':>12} {'max':>12}  n")
        for name, values in self.samples.items():
            print(f"{name:32} {statistics.median(values):12,.2f} {min(values):12,.2f} {max(values):12,.2f}  {len(values)}")
        if json_file:
            self.write_json(json_file)

    def write_json(self, file):
        Path(file).write_text(json.dumps({n: round(self.median(n), 3) for n in self.samples}, indent=1) + "\n")


def are_within(limit, **errors):
    """Says of each relative error whether it is within the limit; true if all are."""
    for name, error in errors.items():
        print(f"{name} within {100 * limit:.0f} %: {'yes' if error <= limit else 'no'}")
    return all(error <= limit for error in errors.values())


def quantile(values, share):
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def seen_ms(begun, changes):
    """Of each probe: (ms from when it began until a count that holds it was read, when that was). `begun`: {row: times}, where
    the nth probe of a row makes its count n; `changes`: (row, count, when it was first read)."""
    result = []
    for row, times in begun.items():
        reached = 0
        for count, at in sorted((count, at) for name, count, at in changes if name == row):
            result += [((at - start) * 1000, at) for start in times[reached:count]]
            reached = max(reached, count)
        assert reached >= len(times), f"row {row}: {reached} of {len(times)} probes were seen"
    return result


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} x {model.group(1) if model else '?'}, Linux {os.uname().release}"
