"""bench/versus without servers: over which window a consumer is measured, and which rows are taken for right. The consumers are fakes on a
clock that costs nothing."""

import sys
from types import SimpleNamespace

import pytest

from lib.harness import ROOT

sys.path.insert(0, str(ROOT / "bench" / "lib"))

from left_rows import IN_FLIGHT, Left, check_rows, expected_rows
from versus_report import Report, number
from window import MOST_TIMES, STALL_S, Fault, Progress, drain, measure, too_short

TOTAL = 100_000


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Fake:
    """Its count is `curve(seconds)`, as of what it has committed: every `every` seconds."""

    name = "fake"

    def __init__(self, clock, curve, every=0.05):
        self.clock, self.curve, self.every = clock, curve, every

    def applied(self):
        return min(int(self.curve(self.clock.now // self.every * self.every)), TOTAL)

    def said(self):
        return "its last words"


def mark(clock):
    """Marks whose figures are the two ends of the window."""
    def of(count):
        return SimpleNamespace(count=count, at=clock.now, since=lambda start: SimpleNamespace(
            start=start.count, end=count, begun=start.at, rate=(count - start.count) / (clock.now - start.at)))
    return of


def measured(curve, lead=10, seconds=8, **options):
    clock = Clock()
    how_far = Progress(Fake(clock, curve, **options), TOTAL, clock)
    return measure(how_far, mark(clock), lead, seconds), how_far


# ---- the window ----


def test_a_fast_one_is_measured_over_half_to_nine_tenths_of_the_records():
    window, _ = measured(lambda s: 10_000 * s)
    assert 50_000 <= window.start < 52_000 and 90_000 <= window.end < 92_000


def test_one_that_warms_up_is_measured_without_its_first_ten_seconds():
    """A tenth of its rate at first: nothing of it is in the figure."""
    window, _ = measured(lambda s: 300 * s if s < 9 else 2700 + 3000 * (s - 9))
    assert window.begun >= 10 and window.rate == pytest.approx(3000, rel=0.01)


def test_a_slow_one_is_stopped_after_its_seconds():
    window, how_far = measured(lambda s: 1000 * s)
    assert 10 <= window.begun < 10.2 and window.end - window.start == pytest.approx(8000, rel=0.02)
    assert how_far.count == window.end


@pytest.mark.parametrize("every", [0.2, 1, 3])
def test_how_often_it_commits_does_not_change_its_figure(every):
    window, _ = measured(lambda s: 1700 * s, every=every)
    assert window.rate == pytest.approx(1700, rel=0.03)


@pytest.mark.parametrize("hangs_at", [5, 12, 17.9])
def test_one_that_hangs_has_no_figure(hangs_at):
    """In the warm-up, in the window, and just before its end."""
    with pytest.raises(Fault, match=f"stands still after [0-9]+ of {TOTAL} records, for {STALL_S} s:\nits last words"):
        measured(lambda s: 1000 * min(s, hangs_at))


def test_one_that_hangs_behind_the_window_is_not_waited_for_as_if_it_were_slow():
    _, how_far = measured(lambda s: min(10_000 * s, 95_000))
    with pytest.raises(Fault, match="stands still after 95000"):
        drain(how_far, 100)


def test_whoever_is_through_too_soon_gets_more_records():
    """So many that a window lasts as long as it must, with something to spare; no more than can be prepared."""
    assert too_short({"a": 3.1, "b": 8.0}, 3) == (set(), 1)
    assert too_short({"a": 0.8, "b": 8.0, "c": 2.9}, 3) == ({"a", "c"}, 5)
    assert too_short({"a": 0.001}, 3) == ({"a"}, MOST_TIMES)
    assert too_short({"a": 0.001}, 0) == (set(), 1)


def test_one_that_is_through_at_once_is_measured_over_all():
    window, how_far = measured(lambda s: TOTAL if s >= 1 else 0)
    assert (window.start, window.end) == (0, TOTAL) and drain(how_far, 0)


# ---- the rows ----


def record(offset, key, count=1, partition=0):
    return partition, offset, key, b'{"session_count": %d, "last_active": "2026-01-01T00:00:%02dZ", "properties": {"n": %d}}' % (
        count, offset, offset)


RECORDS = [record(0, "a/1"), record(1, "a/2"), record(2, "a/1"), record(3, "a/3"), record(0, "b/1", partition=1)]
AT = 1_767_225_600_000_000
RIGHT = {"a/1": Left({"n": 2}, AT + 2_000_000, 2), "a/2": Left({"n": 1}, AT + 1_000_000, 1), "a/3": Left({"n": 3}, AT + 3_000_000, 1),
         "b/1": Left({"n": 0}, AT, 1)}
END = {0: 4, 1: 1}


def check(left, adds=True, positions=END, count=5):
    return check_rows("fake", adds, left, expected_rows(RECORDS), positions, count, len(RECORDS))


def changed(**rows):
    return {**RIGHT, **{key.replace("_", "/"): row for key, row in rows.items()}}


def test_right_rows_are_right():
    assert check(RIGHT) == 4
    assert check(changed(a_1=RIGHT["a/1"]._replace(sessions=1)), adds=False) == 4  # the last value


@pytest.mark.parametrize("left, words", [
    ({key: row._replace(sessions=2 * row.sessions) for key, row in RIGHT.items()}, "add up to 10"),
    (changed(a_2=RIGHT["a/3"], a_3=RIGHT["a/2"]), "row a/2 is"),
    (changed(a_1=RIGHT["a/1"]._replace(sessions=1), a_2=RIGHT["a/2"]._replace(sessions=2)), "row a/1 is"),
    (changed(a_1=RIGHT["a/1"]._replace(properties={"n": 0})), "row a/1 is"),
    (changed(a_1=RIGHT["a/1"]._replace(last_active=AT)), "row a/1 is"),
    ({**{key: RIGHT[key] for key in ("a/1", "a/2", "a/3")}, "c/1": RIGHT["b/1"]}, "row b/1 is None"),
    ({**RIGHT, "c/1": Left({}, AT, 0)}, "row c/1 was written"),
], ids=["doubled", "swapped", "counts swapped", "an older value", "an older time", "lost", "strange"])
def test_wrong_rows_are_found(left, words):
    with pytest.raises(Fault, match=words):
        check(left)


def test_the_last_value_of_a_counter_is_checked_too():
    with pytest.raises(Fault, match="row a/1 is"):
        check(RIGHT, adds=False)


STOPPED = {"positions": {0: 2, 1: 0}, "count": 2}
BEGUN = {"a/1": Left({"n": 0}, AT, 1), "a/2": RIGHT["a/2"]}


def test_of_one_that_was_stopped_the_rows_that_it_is_through_with_are_compared():
    """Those of which its committed offsets have passed the last record."""
    assert check(BEGUN, **STOPPED) == 1
    with pytest.raises(Fault, match="row a/2 is"):
        check({**BEGUN, "a/2": RIGHT["a/3"]}, **STOPPED)


def test_one_that_was_stopped_has_not_counted_more_than_the_log_has():
    with pytest.raises(Fault, match="row a/1 was counted 3 times, and the log has 2"):
        check({**BEGUN, "a/1": Left({"n": 0}, AT, 3)}, **STOPPED)


def test_one_that_was_stopped_has_applied_what_it_says_and_little_more():
    for found in (0, 1, IN_FLIGHT + 3):
        with pytest.raises(Fault, match=f"it has applied 2 of 100000 records, and the counters add up to {found}"):
            check_rows("fake", True, {"a/1": Left({}, AT, found)}, expected_rows(RECORDS), STOPPED["positions"], 2, 100_000)


def test_one_that_applies_records_ahead_may_have_counted_all_that_the_log_has():
    rows = expected_rows(RECORDS)
    assert check_rows("fake", True, RIGHT, rows, {0: 0, 1: 0}, 0, 5, in_flight=5) == 0
    with pytest.raises(Fault, match="add up to 6"):
        check_rows("fake", True, changed(a_2=RIGHT["a/2"]._replace(sessions=2)), rows, {0: 0, 1: 0}, 0, 5, in_flight=5)


# ---- what is said of it ----


@pytest.mark.parametrize("value, words", [(115_604, "116,000"), (5023, "5,020"), (858, "858"), (57.54, "57.5"), (3.372, "3.37"), (0.0075, "0.0075"),
                                          (99.7, "99.7"), (0, "0")])
def test_a_figure_has_no_more_digits_than_say_something(value, words):
    assert number(value) == words


def test_a_rate_of_several_rounds_has_its_spread():
    """Half of the way from the slowest to the fastest; one round has none."""
    samples = {"uniform_leat_records_s": [90_000, 100_000, 110_000], "uniform_batch_records_s": [40_000],
               "uniform_batch_records_s_of_leat": [0.4]}
    figures = SimpleNamespace(samples=samples, median=lambda name: sorted(samples[name])[len(samples[name]) // 2])
    report = Report(SimpleNamespace(figures=figures, failed={}, early={("uniform", "batch"): (1, 2)}, who={}), ["uniform"], None)
    assert report.rate_cell("uniform", "leat") == "100,000 ± 10 %"
    assert report.rate_cell("uniform", "batch") == "40,000* (0.4)"
    assert "±" in report.notes()
