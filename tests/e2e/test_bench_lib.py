"""What benchmarks share, without servers: two builds in turn, the parts of a write's way, tables in documents."""

import sys
from types import SimpleNamespace

import pytest

from lib.harness import ROOT

sys.path.insert(0, str(ROOT / "bench" / "lib"))

import measure
from document import markdown_table, place_in, put_between
from measure import LEAST, NEW, OLD, beside_old, builds, turn
from troubles import FrozenShard, LockedRows, LoudTenant, MissingParents, SlowShard, SlowTrigger, Trouble
from waits import waits


def test_the_old_build_is_the_program_of_the_folder_that_is_named(tmp_path, monkeypatch):
    """`--old DIR` takes DIR/leat, beside this checkout's; without it there is one build. Both are checked before anything is measured."""
    monkeypatch.setattr(measure, "LEAT", tmp_path / "new" / "leat")
    for build in ("new", "old"):
        (tmp_path / build).mkdir()
        (tmp_path / build / "leat").write_bytes(b"a program")
    assert builds(SimpleNamespace(old="")) == {NEW: tmp_path / "new" / "leat"}
    assert builds(SimpleNamespace(old=str(tmp_path / "old"))) == {NEW: tmp_path / "new" / "leat", OLD: tmp_path / "old" / "leat"}
    (tmp_path / "old" / "leat").write_bytes(b"\0__asan_init\0")
    with pytest.raises(SystemExit, match="old/leat was built with AddressSanitizer"):
        builds(SimpleNamespace(old=str(tmp_path / "old")))


def test_who_begins_alternates():
    """From round to round, so that a slow spell or a warm machine does not look like a build."""
    assert [turn({NEW: 1, OLD: 2}, number) for number in range(3)] == [[NEW, OLD], [OLD, NEW], [NEW, OLD]]


def test_a_round_has_the_figures_of_both_builds_and_their_ratios():
    """Only of what was measured of both; nothing is divided by 0, nor by a difference below it."""
    assert beside_old({NEW: {"us": 3.0}}) == {"us": 3.0}
    assert beside_old({OLD: {"us": 2.0, "ms": 0, "gap": -3}, NEW: {"us": 3.0, "ms": 1.0, "gap": -2, "s": 5}}) == {
        "us": 3.0, "ms": 1.0, "gap": -2, "s": 5, "old_us": 2.0, "old_ms": 0, "old_gap": -3,
        "of_old_us": 1.5, "of_old_ms": 1.0 / LEAST, "of_old_gap": 1.0}


def test_the_parts_of_a_way_follow_one_another():
    """Each is the mean of what was observed between the two readings, over all routes, workers and shards, less what comes before it."""
    def metrics(**histograms):
        return {f"leat_{name}_{part}{{{label}}}": value for name, of in histograms.items() for label, pair in of.items()
                for part, value in zip(("seconds_sum", "seconds_count"), pair)}

    before = metrics(accept_to_durable={'route="a"': (100.0, 10)}, fetch_latency={'shard="a"': (1.0, 5)}, apply_lag={'shard="a"': (1.0, 1)})
    after = {**metrics(accept_to_durable={'route="a"': (100.1, 60), 'route="b"': (0.1, 50)},  # 0.2 s of 100 writes: 2 ms
                       fetch_latency={'shard="a"': (1.5, 105)},  # 5 ms
                       apply_lag={'shard="a"': (2.2, 101)}),  # 12 ms
             'leat_shard_batch_seconds{shard="a"}': 0.004, "leat_shard_batch_seconds_of_another": 9.0}
    assert waits(before, after) == pytest.approx({"to_log_ms": 2.0, "to_worker_ms": 3.0, "to_table_ms": 7.0, "batch_ms": 4.0})
    assert waits(after, after) == pytest.approx({"to_log_ms": 0, "to_worker_ms": 0, "to_table_ms": 0, "batch_ms": 4.0})


LINE = "2026-11-30T06:00:00.000Z {} shard={} partition=1 {}"


@pytest.mark.parametrize("trouble, line, is_told", [
    (LockedRows(), LINE.format("error stalled by contention", "a", 'key="7/0" reason="canceling statement"'), True),
    (LockedRows(), LINE.format("error stalled by contention", "a", 'key="77/0" reason="canceling statement"'), False),
    (LockedRows(), LINE.format("error session waits for a lock", "a", 'reason="... for a lock on items, which ..."'), True),
    (LockedRows(), LINE.format("warn no connection", "a", 'reason="refused"'), False),
    (LockedRows(), LINE.format("error stalled by contention", "b", 'key="7/0"'), False),
    (LockedRows(), LINE.format("info stalled by contention", "a", 'key="7/0"'), False),
    (MissingParents(), LINE.format("warn dead letter", "a", "sqlstate=23503"), True),
    (FrozenShard(), LINE.format("warn shard answers neither statements nor a question", "b", "silent_s=4"), True),
    (FrozenShard(), LINE.format("warn no connection", "a", ""), False),
    (Trouble(), LINE.format("warn no connection", "a", ""), False),
], ids=range(10))
def test_a_warning_counts_only_if_it_names_the_trouble(trouble, line, is_told):
    """Its shard, and what it is: any other warning of that time says nothing of how soon people hear of it."""
    assert trouble.is_told(7, line) == is_told


def test_status_shows_a_trouble_only_where_it_is():
    """As a trouble of the shard, or among those who are to blame there."""
    lock, culprit = {"shard": "a", "troubles": [{"kind": "lock"}]}, {"shard": "a", "culprits": [{"tenants": [{"tenant": "7"}]}]}
    quiet = {"shard": "a", "error": None, "troubles": []}
    assert LockedRows().is_shown(7, lock) and not LockedRows().is_shown(7, {**lock, "shard": "b"})
    assert LoudTenant(100).is_shown(7, culprit) and not LoudTenant(100).is_shown(8, culprit)
    assert FrozenShard().is_shown(7, {"shard": "b", "error": "no answer"})
    assert not any(trouble.is_shown(7, {**quiet, "shard": trouble.shard})
                   for trouble in (Trouble(), LockedRows(), MissingParents(), LoudTenant(0), SlowTrigger(20, 8), FrozenShard(), SlowShard()))


BEGIN, END = "<!-- here -->", "<!-- end -->"


def test_a_table_takes_the_place_between_its_two_lines(tmp_path):
    """Whatever stands there, and as often as it is made; what is around it stays."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n{BEGIN}\n")
    for table in (markdown_table([["", "a"], ["x", "1"]]), "\\1"):
        put_between(page, BEGIN, END, table)
        assert page.read_text() == f"before\n{BEGIN}\n\n{table}\n\n{END}\nbehind\n{BEGIN}\n"
    assert markdown_table([["", "a"], ["x", "1"]]) == "|  | a |\n| --- | --- |\n| x | 1 |"


@pytest.mark.parametrize("text", [None, "", f"{END}\n{BEGIN}\n", f"{BEGIN}\n"])
def test_a_document_without_the_two_lines_is_named(tmp_path, text):
    """The benchmark ends; the document stays as it is."""
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    with pytest.raises(SystemExit, match="page.md has no line <!-- here --> with a line <!-- end --> behind it"):
        place_in(page, BEGIN, END)
