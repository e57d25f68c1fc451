"""The window over which bench/versus measures a consumer. It looks at nothing but its count of applied records and a clock."""

import math
import time

LOOK_S = 0.05
START_S, STALL_S = 180, 15  # until the first record is applied; and between any two changes of the count after it
BEGIN, END = 0.5, 0.9  # of the records
MOST_TIMES = 12  # as many records, for those that are through too soon


class Fault(Exception):
    """A contender has failed, or its rows are wrong."""


class Progress:
    """How many of `total` records a contender has applied. `contender` has a name, applied() and said()."""

    def __init__(self, contender, total, clock=time):
        self.contender, self.total, self.clock, self.count = contender, total, clock, 0

    def next(self):
        """The count, once it has grown. Raises a Fault if it stands still: nobody gets a figure who has hung."""
        since, limit = self.clock.monotonic(), STALL_S if self.count else START_S
        while (count := self.contender.applied()) <= self.count:
            if self.clock.monotonic() - since > limit:
                raise Fault(f"{self.contender.name}: it stands still after {self.count} of {self.total} records, for {limit} s:\n"
                            f"{self.contender.said()}")
            self.clock.sleep(LOOK_S)
        self.count = count
        return count

    def until(self, share, seconds):
        """Goes on until this share of the records is applied, or the seconds are over and the count has grown once more."""
        end = self.clock.monotonic() + seconds
        while self.count < share * self.total and self.clock.monotonic() < end:
            self.next()
        return self.count


def measure(progress, mark, lead, seconds):
    """Figures of the window. It begins `lead` seconds after the first progress, or with half of the records if that is sooner, so that
    nobody is measured while a virtual machine still compiles; it ends with 90 percent, or `seconds` later for one that is slow. Both ends
    are changes of the count: how often a contender commits does not matter. Of one that is through before that: of all of it.
    `mark(count)` says what was used until now; it has since(mark)."""
    first = start = mark(0)
    progress.next()
    if progress.until(BEGIN, lead) < END * progress.total:
        start = mark(progress.count)
        progress.until(END, seconds)
    end = mark(progress.count)
    return end.since(start if end.count > start.count else first)


def too_short(windows, least):
    """({those whose window was shorter than `least` seconds}, how many times the records make one that is not). `windows`: {name: s}."""
    names = {name for name, seconds in windows.items() if seconds < least}
    times = [math.ceil(1.25 * least / max(windows[name], LOOK_S)) for name in names]
    return names, min(max(times, default=1), MOST_TIMES)


def drain(progress, seconds):
    """Whether all is applied, at once or within these seconds."""
    return progress.until(1, seconds) >= progress.total
