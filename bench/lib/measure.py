"""What the benchmarks share: CPU time of processes, steady windows, the servers they use, when probes were seen, how figures
are printed."""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

LEAT = ROOT / "build" / "release" / "leat"
LOAD = ROOT / "build" / "release" / "leat-load"
CEILING = ROOT / "build" / "release" / "leat-ceiling"
TICK = os.sysconf("SC_CLK_TCK")


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


def postmaster_pids():
    """Of this checkout's own clusters."""
    return [int(line.split()[0]) for line in subprocess.run(
        ["pgrep", "-f", "-a", r"/postgres -D "], capture_output=True, text=True).stdout.splitlines()
        if "leat" in line or ".dev/postgres" in line]


def broker_pids():
    return [int(line.split()[0]) for line in subprocess.run(
        ["pgrep", "-f", "-a", "kafka.Kafka"], capture_output=True, text=True).stdout.splitlines()]


class Meter:
    """CPU of leat (or another process), PostgreSQL and the broker between two looks."""

    def __init__(self, pids):
        self.pids = pids
        self.start = self.look()

    def look(self):
        return {"own": sum(cpu_us(p) for p in self.pids), "postgres": sum(tree_cpu_us(p) for p in postmaster_pids()),
                "broker": sum(cpu_us(p) for p in broker_pids())}

    def per(self, records):
        now = self.look()
        return {name: round((now[name] - self.start[name]) / max(records, 1), 2) for name in now}


def others_cpu_share(seconds=0.5):
    """Cores that anything at all uses right now: a figure is not worth much when this is not near 0 before a run."""
    def busy():
        fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return sum(fields) - fields[3] - fields[4]

    before = busy()
    time.sleep(seconds)
    return (busy() - before) / TICK / seconds


def wait_quiet(limit=0.3, timeout=60):
    """Waits until the machine is nearly idle; says so when it never is."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if others_cpu_share() < limit:
            return
    print(f"warning: the machine was never quiet within {timeout} s: figures are not to be trusted", file=sys.stderr)


def arguments(description, **defaults):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures as one flat JSON object")
    parser.add_argument("--runs", type=int, default=defaults.pop("runs", 3), help="runs of each kind; the median is shown")
    for name, value in defaults.items():
        if value is False:
            parser.add_argument("--" + name.replace("_", "-"), action="store_true")
            continue
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
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

    def median(self, name):
        return statistics.median(self.samples[name])

    def show(self, json_file=None):
        print(f"{'figure':32} {'median':>12} {'min':>12} {'max':>12}  n")
        for name, values in self.samples.items():
            print(f"{name:32} {statistics.median(values):12,.2f} {min(values):12,.2f} {max(values):12,.2f}  {len(values)}")
        if json_file:
            Path(json_file).write_text(json.dumps({n: round(self.median(n), 3) for n in self.samples}, indent=1) + "\n")


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


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
