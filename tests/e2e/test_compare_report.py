"""What bench/compare says of its figures, from figures that are made up: it neither hides a loss nor invents one."""

import sys

import pytest

from lib.harness import ROOT
from lib.html_page import Page

sys.path.insert(0, str(ROOT / "bench" / "lib"))

import compare_report

GOOD = {"answered_p50_ms": 2, "answered_p99_ms": 20, "load_p50_ms": 2, "load_p99_ms": 20, "refused": 0, "unknown": 0, "visible_p50_ms": 3,
        "visible_p99_ms": 30, "visible_max_ms": 40, "over_after_s": 0, "drained_s": 0.1, "lost_least": 0, "lost_most": 0, "doubled_least": 0,
        "writes": 1000, "connections": 16, "commits": 1, "database_us": 100}
NOTHING_LOST = "Nothing is lost or doubled on either side"
ABOUT = {"machine": "a machine", "rate": 400, "capacity": 1000, "seconds": 9, "keys": 100, "spike": 5, "stall": 6, "command": "bench/compare",
         "version": "leat <1>", "date": "2026-01-02", "sync": {"connections": 16, "queue": 1000, "timeout": "5s"}}


def figures(**different):
    return {**GOOD, **different}


@pytest.mark.parametrize("sync, async_, says", [
    ({}, {}, [NOTHING_LOST]),
    ({"lost_least": 3, "lost_most": 3}, {}, ["The synchronous side LOST at least 3 writes"]),
    ({}, {"lost_least": 1234, "lost_most": 1234}, ["The asynchronous side LOST at least 1,234 writes"]),
    ({"doubled_least": 2}, {}, ["The synchronous side applied at least 2 writes twice."]),
    ({"lost_most": 7, "unknown": 7}, {}, ["The synchronous side left 7 writes without an answer"]),
    ({"lost_least": 1, "lost_most": 6, "unknown": 5}, {"doubled_least": 4},
     ["The synchronous side LOST at least 1 writes", "The synchronous side left 5 writes", "The asynchronous side applied at least 4 writes twice."]),
])
def test_what_is_lost_or_doubled_is_said_of_the_side_that_did_it(sync, async_, says):
    said = compare_report.losses(figures(**sync), figures(**async_))
    assert all(words in said for words in says)
    assert (NOTHING_LOST in said) == (says == [NOTHING_LOST])
    for name, found in (("synchronous", sync), ("asynchronous", async_)):
        assert (f"The {name} side" in said) == bool(found)


@pytest.mark.parametrize("sync, async_, says, not_said", [
    ({}, {}, ["20 ms (p99)", "20 ms with the log", "Neither refused a write."], ["The synchronous endpoint", "The asynchronous endpoint"]),
    ({"refused": 1200}, {}, ["The synchronous endpoint refused 1,200 times."], ["Neither", "The asynchronous endpoint"]),
    ({"refused": 1, "unknown": 2}, {"unknown": 3},
     ["The synchronous endpoint refused 1 times and gave 2 writes no answer", "The asynchronous endpoint gave 3 writes no answer"], ["Neither"]),
    ({"answered_p99_ms": 12_500}, {"answered_p99_ms": 17}, ["A client waits 12.5 s (p99)", "17 ms with the log"], []),
])
def test_what_clients_feel(sync, async_, says, not_said):
    said = compare_report.clients(figures(**sync), figures(**async_))
    assert all(words in said for words in says) and not any(words in said for words in not_said), said


@pytest.mark.parametrize("ms, says", [(90, "The price: a write is visible later."), (30, "The data is about as fresh"), (10, "The data is fresher")])
def test_how_fresh_the_data_is(ms, says):
    assert compare_report.data(figures(), figures(visible_p99_ms=ms)).startswith(says)


def test_the_page_says_how_long_the_stall_was_and_draws_the_connections():
    """Its series go into the pictures, and what is not HTML is escaped."""
    series = {name: [(0.5, 1), (1.5, 7)] for name in ("answered", "visible", "connections")}
    pair = {side: {**GOOD, "series": series, "shaded": (1, 2)} for side in ("sync", "async")}
    text = compare_report.as_html(ABOUT, {"stall": pair})
    page = Page(text)
    assert page.faults == [] and "leat &lt;1&gt;" in text
    stall = page.sections["The database stands still"]
    assert "For the shaded time, 6 s, all processes" in stall["p"][0] and "lets a write wait for 5s" in stall["p"][0]
    assert "9 s in each situation, 18 s where the database stands still." in text
    assert "Connections of the database" in stall["svg"][1] and len(stall["polyline"]) == 6
