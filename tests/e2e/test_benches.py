"""Benchmarks run: each once, in tiny sizes. Their figures are not checked, only that all of them are there."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from lib.benches import run, versus_figures
from lib.harness import ROOT, environment, wait_until
from lib.html_page import Page

QUANTILES = ["p50_ms", "p99_ms", "p999_ms", "accept_p50_ms", "accept_p99_ms"]
# Of bench/isolation; one is run only where leat has the setting that it is about.
LOCKED = ["locked_quiet_row", "locked_hot_row", "ten_locked_rows"]
TROUBLES = [*LOCKED, "parents_1_s", "parents_2", "parents_2_everywhere", "loud_tenant", "loud_tenant_saturated", "slow_tenant",
            "frozen_shard", "slow_shard", "restart"]
if "`routes[].on_refused`" in (ROOT / "docs" / "configuration.md").read_text():
    TROUBLES += ["parents_2_held", "parents_2_everywhere_held"]
HAS_LEVER = (ROOT / "src" / "cli" / "control.c").exists()
if HAS_LEVER:
    TROUBLES.append("lever")

# Of bench/scale with --smoke.
SIZES = {"workers": (1, 2), "shards": (1, 4), "partitions": (2, 16), "rows": (2000, 20_000), "columns": (1, 20), "body": (200, 2048)}
COSTS = ["records_s", "leat_us", "postgres_us", "broker_us", "all_us", "wal_bytes", "row_writes", "batch_records"]


def with_old(names):
    """With those that --old adds."""
    return [*names, *(f"{prefix}_{name}" for prefix in ("old", "of_old") for name in names)]


FORMS = ["leat", "plain_checked", "no_enter", "no_condition", "update_first", "row_array", "text_array"]  # of bench/statement
PARTS_MS = ["to_log_ms", "to_worker_ms", "to_table_ms", "batch_ms"]  # of bench/latency

# The output of each with --json: docs/performance.md is made from it. The longest first.
FIGURES = {
    "isolation": [*(f"{trouble}_{figure}" for trouble in TROUBLES for figure in ("p99_ms", "p99_ms_without", "p99_sharing", "ratio", "applied_s",
                                                                                "told_s", "shown_s")),
                  *(f"{trouble}_over_s" for trouble in LOCKED),
                  *(f"{case}_{figure}" for case in ("hot_key", "uniform_overload") for figure in ("applied_s", "ratio")),
                  "restart_reread_s", "restart_reread_s_without", "restart_rss_mib", *(["lever_recovered_s"] if HAS_LEVER else [])],
    "apply": ["ceiling_rows_s", "plain_rows_s", "ceiling_of_plain", "leat_of_ceiling", "row_writes_of_ceiling", "single_1_rows_s", "single_16_rows_s", "deadlocks",
              "zipf_of_uniform", "hot_of_uniform", "leat_rows_s_hot_unbounded", "hot_of_unbounded",
              *with_old(["broker_cpu_us", "leat_rss_mib", *(f"{figure}{skew}" for skew in ("", "_zipf", "_hot")
                                                            for figure in ("leat_rows_s", "leat_cpu_us", "postgres_cpu_us", "row_writes"))])],
    "statement": [*(f"{form}_{figure}" for form in ("plain", *FORMS) for figure in ("rows_s", "us")),
                  *(f"{form}_{figure}" for form in FORMS for figure in ("of_plain", "us_of_plain"))],
    "latency": with_old(["capacity", *(f"{figure}_{rate}" for figure in (*QUANTILES, *PARTS_MS) for rate in ("quarter", "half"))]),
    "commit": [*(f"{figure}_{way}" for figure in ("hot_rows_s", "small_rows_s", "p50_ms", "p99_ms", "syncs_s") for way in ("sync", "async")),
               "hot_ratio", "small_ratio", "p50_ratio", "p99_ratio"],
    "snapshot": ["merge_rows_s", "merge_held_rows_s", "leat_rows_s", "leat_held_rows_s", "merge_slowdown", "leat_slowdown", "ratio"],
    "memory": ["fill_s", *with_old(["rss_mib_10", "rss_mib_50", "rss_mib_90", "rss_mib_max", "records_s", "cpu_us"])],
    "wait": [*(f"{what}_{q}_ms_{shape}" for shape in ("run", "split") for what in ("plain", "wait") for q in ("p50", "p99")),
             "crowd_waiting", "crowd_questions_s", "crowd_session_pct", "crowd_edge_pct", "crowd_plain_p50_ms"],
    "edge": [*with_old(["items_s", "item_edge_cpu_us", "item_broker_cpu_us",
                        *(f"{figure}_{connections}" for connections in (64, 256)
                          for figure in ("requests_s", "edge_cpu_us", "broker_cpu_us", "edge_rss_mib", "p50_ms", "p99_ms"))]),
             *(f"{quantile}_ms_2000{ending}" for quantile in ("p50", "p99") for ending in ("", "_linger_0")),
             *(f"{figure}_{connections}" for connections in (64, 256) for figure in ("vs_requests_s", "vs_cpu_us", "vs_p50_ms", "of_vs"))],
    "protocols": [f"{figure}_{protocol}" for protocol in ("h1", "h2", "tls_h1", "tls_h2") for figure in ("requests_s", "edge_cpu_us")],
    "incident": [f"{figure}_{parking}" for figure in ("p50_ms", "p99_ms", "still_s", "held_mib", "parked", "over_s")
                 for parking in ("off", "on")],
    "compare": [f"{situation}_{side}_{figure}" for situation in ("steady", "spike", "stall", "hot_row", "restart") for side in ("sync", "async")
                for figure in ("answered_p50_ms", "answered_p99_ms", "load_p50_ms", "load_p99_ms", "refused", "unknown", "visible_p50_ms",
                               "visible_p99_ms", "visible_max_ms", "over_after_s", "drained_s", "lost_least", "lost_most", "doubled_least", "writes", "connections",
                               "commits", "database_us")],
    "placement": [f"{figure}_{count}" for figure in ("full_rows_s", "full_cpu_us", "rss_mib", "half_cpu_us", "half_batch")
                  for count in (64, 256, 1024)],
    "seen": [f"{figure}_{way}" for figure in ("row_versions", "wal_bytes", "records_s") for way in ("plain", "step", "ratio")],
    "versus": versus_figures("naive", "batch", "inbox"),
    "plan": ["capacity_s", "rate_s", "lag_peak_s", "lag_peak_predicted_s", "lag_peak_error", "back_s", "behind_s", "behind_predicted_s",
             "row_writes", "row_writes_predicted", "catch_up_s", "catch_up_predicted_s", "catch_up_error", "other_p99_ms"],
    "scale": [f"{figure}_{name}_{size}" for name, sizes in SIZES.items() for i, size in enumerate(sizes)
              for figure in (*COSTS, *(("steepness_leat", "steepness_all") if i else ()))],
    "merge": [*(f"{way}_us_row" for way in ("set", "concat", "strip", "deep")), *(f"{way}_of_set" for way in ("concat", "strip", "deep"))],
}

# Further arguments of one. The old build is the new one. The peers of bench/versus that would be downloaded are left out: e2e/test_peers.py.
BESIDE_OLD = ["--old", str(ROOT / "build" / "release")]
WITH = {"edge": ["--vs", f"{sys.executable} {ROOT / 'tests' / 'lib' / 'other_edge.py'}", *BESIDE_OLD],
        "apply": BESIDE_OLD, "latency": BESIDE_OLD, "memory": BESIDE_OLD,
        "versus": ["--peers", "naive,batch,inbox"]}


def arguments_of(name, file):
    """Its figures go to the file; a report goes beside it."""
    return ["--json", file, *WITH.get(name, []), *(["--report", file.with_suffix(".html")] if name == "compare" else [])]


def run_after(others, *arguments):
    wait(others)
    return run(*arguments)


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """{name: (its JSON file, the run to come)} of those that are asked for, two at a time: mostly they wait. Those that start
    PostgreSQL anew run after the others."""
    directory = tmp_path_factory.mktemp("figures")
    asked = dict.fromkeys(item.callspec.params["name"] for item in request.session.items
                          if item.path == request.path and hasattr(item, "callspec"))
    files = {name: directory / f"{name}.json" for name in sorted(asked, key=lambda name: name in RESTARTING)}
    with ThreadPoolExecutor(2) as lanes:
        to_come = {}
        for name, file in files.items():
            before = list(to_come.values()) if name in RESTARTING else []
            to_come[name] = lanes.submit(run_after, before, name, *arguments_of(name, file))
        yield {name: (file, to_come[name]) for name, file in files.items()}


# They start a database server anew; the others cannot go on then.
RESTARTING = ("commit",)
# They stop a database server for a moment.
STOPPING = ("isolation", "compare", "plan", *RESTARTING)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.alone] if name in STOPPING else []) for name in FIGURES])
def test_a_benchmark_runs_and_writes_its_figures(runs, name):
    """`bench/NAME --smoke --json FILE` succeeds, and the file has each of its figures and no other."""
    file, run_to_come = runs[name]
    done = run_to_come.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads(file.read_text())) == set(FIGURES[name])


@pytest.mark.parametrize("name", ["scale"])
def test_scale_measures_the_size_that_dimensions_share_once(runs, name):
    """Its figures are the same in each of the five, so that they are compared with one and the same."""
    file, run_to_come = runs[name]
    assert run_to_come.result().returncode == 0
    figures = json.loads(file.read_text())
    for cost in COSTS:
        assert len({figures[f"{cost}_{size}"] for size in ("shards_1", "partitions_16", "rows_2000", "columns_1", "body_200")}) == 1


@pytest.mark.parametrize("name", [pytest.param("plan", marks=pytest.mark.alone)])
def test_plan_says_whether_its_predictions_held(runs, name):
    """One line each; in tiny sizes either may be a no, and it succeeds all the same."""
    _, run_to_come = runs[name]
    done = run_to_come.result()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if re.search(r" within 20 %: (yes|no)$", line)] == ["lag_peak", "catch_up"]


SECTIONS = ["Steady load", "A spike", "The database stands still", "One hot row", "What writes to the database is killed"]


@pytest.mark.parametrize("name", [pytest.param("compare", marks=pytest.mark.alone)])
def test_the_report_of_a_comparison_is_one_file_with_figures_and_words(runs, name):
    """It is whole HTML that asks for nothing from outside and names no path of this machine; each of the five situations has its
    sentences, its pictures with a line for each side, and its table."""
    file, run_to_come = runs[name]
    assert run_to_come.result().returncode == 0
    text = file.with_suffix(".html").read_text()
    page = Page(text)
    assert page.faults == []
    assert not [path for path in (ROOT, file.parent, Path.home(), "/tmp") if str(path) in text]
    assert list(page.sections) == [*SECTIONS, "What the figures are"]
    for title in SECTIONS:
        section = page.sections[title]
        assert len(section["p"]) >= 5 and all(sentence.strip().endswith(".") for sentence in section["p"]), section["p"]
        assert len(section["svg"]) == 2 and len(section["polyline"]) == 6, title
        rows = [section["td"][at:at + 3] for at in range(0, len(section["td"]), 3)]
        assert len(rows) > 10 and all(re.match(r"[\d,.]+( ms| s| µs)?$", figure) for _, *figures in rows for figure in figures), rows
    assert "Connections of the database" in text and "bench/compare --smoke" in page.sections["What the figures are"]["code"]


def test_every_benchmark_is_run_here():
    """A new one in bench/ gets its line in FIGURES."""
    assert {path.name for path in (ROOT / "bench").iterdir() if path.is_file()} == set(FIGURES)


@pytest.mark.alone
def test_a_benchmark_that_is_ended_puts_back_what_it_changed():
    """bench/commit gets SIGTERM while syncs are slow: PostgreSQL runs without the library again, and with the buffers that it had,
    which the benchmark's environment does not name."""
    def server():
        return subprocess.run([ROOT / "scripts" / "postgres", "status"], capture_output=True, text=True).stdout.partition("cluster 2")[0]

    def buffers():
        with psycopg.connect(environment()["PG_DSN_1"]) as db:
            return db.execute("show shared_buffers").fetchone()[0]

    usual = buffers()
    subprocess.run([ROOT / "scripts" / "postgres", "restart", "1"], check=True, env={**os.environ, "LEAT_PG_SHARED_BUFFERS": "67MB"})
    try:
        assert "preload" not in server()
        bench = subprocess.Popen([ROOT / "bench" / "commit", "--smoke"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "with a preload" in server(), "the slow disk", 60)
        bench.terminate()
        error = bench.communicate(timeout=120)[1]
        assert bench.returncode == 1 and "error: ended by SIGTERM" in error, error
        assert "up on port" in server() and "preload" not in server()
        assert buffers() == "67MB"
    finally:
        subprocess.run([ROOT / "scripts" / "postgres", "restart", "1"], check=True, env={**os.environ, "LEAT_PG_SHARED_BUFFERS": usual})


def test_a_benchmark_refuses_a_program_with_sanitizers():
    """With build/debug/leat it ends at once, with the reason and the remedy."""
    done = run("edge", LEAT_BIN=str(ROOT / "build" / "debug" / "leat"))
    assert done.returncode == 1
    assert "was built with AddressSanitizer" in done.stderr and "scripts/build release" in done.stderr


def test_an_old_build_that_is_not_there_is_named():
    """`--old DIR` without DIR/leat ends at once."""
    done = run("memory", "--old", "/nowhere")
    assert done.returncode == 1 and "error: /nowhere/leat does not exist" in done.stderr


def test_versus_does_not_measure_a_consumer_that_loses_writes():
    """Of one that skips every tenth record and commits it all the same it says what is missing, and shows the others' figures alone;
    its row says that it failed."""
    done = run("versus", "--peers", "batch", "--own", f"{sys.executable} {ROOT / 'tests' / 'lib' / 'forgetful_consumer.py'}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"error: own: it has applied 3000 of 3000 records, and the counters add up to 2\d\d\d$", done.stderr, re.M), done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines() if " to " in line and "(" in line} >= {"leat", "batch"}
    assert re.findall("^own +(.*)", done.stdout, re.M) == ["failed", "not measured", "not measured"] and "not measured, as it failed: own" in done.stderr


def test_versus_draws_a_picture_and_puts_its_table_into_a_document(tmp_path):
    """The table takes the place of what stands between the two comments, and nothing else changes."""
    page, picture = tmp_path / "page.md", tmp_path / "docs" / "versus.svg"
    page.write_text("before\n<!-- bench/versus: what it found -->\nold\n<!-- bench/versus: end -->\nbehind\n")
    done = run("versus", "--peers", "batch", "--plot", str(picture), "--into", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "behind") and "old" not in lines
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")] == ["", "---", "leat", "by hand, one upsert a poll"]
    assert any("](docs/versus.svg)" in line for line in lines)
    assert "by hand, one upsert a poll" in [e.text for e in ElementTree.parse(picture).iter() if e.text]


def test_versus_names_a_peer_that_there_is_not():
    """It ends at once, and says which ones there are."""
    done = run("versus", "--peers", "batch,debezum")
    assert done.returncode == 1 and "there is no debezum; there are naive, batch" in done.stderr
