"""Imported first by each benchmark: goes on in the project's own Python when it was started by another. And a benchmark that is
ended, by SIGTERM or because its terminal is closed, ends as by Ctrl-C: what it has started is stopped, what it has changed is put
back. A second signal does not disturb that."""

import atexit
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[2] / ".dev" / "venv" / "bin" / "python"
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
if PYTHON.exists() and Path(sys.executable) != PYTHON:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])


def kill_children():
    """Load generators: what else was started is gone by now."""
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has ended
            for pid in (task / "children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)


def end(number, _):
    for other in SIGNALS:
        signal.signal(other, lambda *_: None)  # not SIG_IGN, which programs that are started now would inherit
    atexit.register(kill_children)
    sys.exit(f"error: ended by {signal.Signals(number).name}")


def leave_it():
    """In a process of multiprocessing: its parent knows what to do."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


for caught in SIGNALS:
    if signal.getsignal(caught) is not signal.SIG_IGN:  # of nohup
        signal.signal(caught, end)
os.register_at_fork(after_in_child=leave_it)
