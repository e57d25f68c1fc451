"""`leat plan`: what it says and refuses; `--measure` leaves nothing behind, whatever happens."""
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.harness import LEAT, ROOT, wait_until

sys.path.insert(0, str(ROOT / "bench" / "lib"))

from measure import are_within

TABLE = """create type colour as enum ('red', 'green');
           create table things (app int, id bigint, n bigint not null default 0, colour colour, tags text[], doc jsonb, at timestamptz,
           price numeric(9,2), code text, twice bigint generated always as (n + 1) stored, own bigint generated always as identity,
           primary key (app, id), unique (code))"""
FILL = """insert into things (app, id, n, colour, tags, doc, at, price, code)
          select i % 7, i, i, case i % 3 when 0 then 'red'::colour when 1 then 'green' end, array['a,b', '"', null, i::text],
                 jsonb_build_object('k', i, 't', E'\\\\'), now(), i / 3.0, 'code ' || i from generate_series(1, 600) i"""
SPY = """create table seen (setting text);
         create function spy() returns trigger language plpgsql as
         $$begin insert into public.seen values (current_setting('synchronous_commit')); return null; end$$;
         create function watch() returns event_trigger language plpgsql as $$begin
             if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'leat_plan_scratch.progress') then
                 create constraint trigger spy after insert on leat_plan_scratch.progress deferrable initially deferred
                     for each row execute function public.spy();
             end if; end$$;
         create event trigger watch on ddl_command_end when tag in ('CREATE TABLE') execute function watch()"""
SCRATCH = "select 1 from pg_namespace where nspname = 'leat_plan_scratch'"


def plan(*arguments, code=0):
    done = subprocess.run([LEAT, "plan", *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_plan_has_each_figure_of_the_documentation():
    given = ["--writes", "150k/s", "--shards", "40", "--fixed-us", "1500", "--row-us", "12", "--outage", "10m"]
    figures = json.loads(plan(*given, "--json").stdout)["figures"]
    documented = (ROOT / "docs" / "scaling.md").read_text()
    assert all(f"| `{name}` |" in documented for name in figures), list(figures)
    assert figures["outage_backlog"]["value"] == pytest.approx(150000 / 40 * 600)
    text = plan(*given).stdout
    assert all(f"  {name} " in text for name in figures)


@pytest.mark.parametrize("more, code, says", [
    (["--row-us", "900"], 3, "row time is short: a shard applies at most"),
    (["--partitions", "40", "--reader-us", "300"], 3, "partitions are short"),
    (["--connections", "1", "--row-us", "100"], 3, "connections are short: a shard applies"),
    (["--connections", "300"], 2, "the number of connections must be from 0 to 256"),
    (["--keys", "1"], 3, "one row is too hot"),
    (["--spike", "0.5x"], 2, "the spike's factor must be from 1"),
    (["--lag", "soon"], 2, "--lag must be"),
    (["--route", "things"], 2, "--measure"),
])
def test_what_is_short_or_makes_no_sense_is_said(more, code, says):
    done = plan("--writes", "400000/s", "--shards", "40", "--fixed-us", "1500", "--row-us", "12", *more, code=code)
    assert says in done.stderr


@pytest.fixture
def measured(make_world):
    world = make_world(log="local", shards=1, table_sql=TABLE,
                       route={"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"})
    return world


def measure(world, *arguments, code=0):
    done = plan("--measure", "--writes", "100/s", "--config", world.config_path, *arguments, code=code)
    assert not world.rows(SCRATCH) or code
    return done


def test_measuring_leaves_nothing_behind(measured):
    assert "table things has 0 rows" in measure(measured, code=1).stderr
    assert not measured.rows(SCRATCH)
    with measured.db("a") as db:
        db.execute(FILL)
    before = measured.rows("select * from things order by id")
    done = measure(measured, "--json")
    answer = json.loads(done.stdout)
    assert answer["fixed_us"] > 1 and answer["row_us"] > 0 and 0 <= answer["serial"] <= 1
    assert "measured with 600 rows" in done.stderr
    assert measured.rows("select * from things order by id") == before

    interrupted = subprocess.Popen([LEAT, "plan", "--measure", "--writes", "1/s", "--config", measured.config_path],
                                   stderr=subprocess.PIPE, text=True)
    wait_until(lambda: measured.rows(SCRATCH), "a scratch schema")
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(30) == 1 and "interrupted" in interrupted.stderr.read()
    assert not measured.rows(SCRATCH)

    with measured.db("a") as db:
        db.execute("create schema leat_plan_scratch")
    assert "DROP SCHEMA leat_plan_scratch" in measure(measured, code=1).stderr
    assert measured.rows(SCRATCH)  # it might be somebody's own
    with measured.db("a") as db:
        db.execute("drop schema leat_plan_scratch")


def test_a_table_in_use_is_measured(measured):
    """Its rows are copied in two parts, and some of the first have a new place when the second is read: a CHECK makes it last."""
    with measured.db("a") as db:
        db.execute(FILL)
        db.execute("alter table things add check (current_setting('application_name') <> 'leat plan' or pg_sleep(0.0005)::text = '')")
        over = threading.Event()

        def keep_busy():
            half = 0
            while not over.is_set():
                db.execute("update things set code = md5(code) where id %% 2 = %s", (half,))
                half = 1 - half

        with ThreadPoolExecutor(1) as beside:
            busy = beside.submit(keep_busy)
            try:
                assert "measured with 600 rows" in measure(measured).stderr
            finally:
                over.set()
            busy.result()


@pytest.mark.parametrize("commit, says", [("sync", "on"), ("async", "off")])
def test_batches_are_measured_as_the_shard_commits_them(measured, commit, says):
    """Each transaction that writes the row of progress tells at its end whether its commit waits, whatever the database says."""
    measured.settings["shards"][0]["commit"] = commit
    measured.write_config()
    with measured.db("a") as db:
        db.execute(FILL)
        db.execute(SPY)
        db.execute("do $$ begin execute format('alter database %I set synchronous_commit = %s', current_database(), '"
                   + ("off" if commit == "sync" else "on") + "'); end $$")
        done = measure(measured)
        assert ("commit: async" in done.stderr) == (commit == "async"), done.stderr
        assert db.execute("select distinct setting from seen").fetchall() == [(says,)]


@pytest.mark.parametrize("keys", [0, 60_000])
def test_the_engine_catches_up_as_the_formula_says(keys):
    """Played on virtual time, with tenants of very different size: the lag of the shard that is away, and of the others.
    With fewer keys a third of the backlog is folded."""
    done = subprocess.run([LEAT.parent / "leat-outage", "--writes", "6000", "--shards", "3", "--tenants", "2000", "--fixed-us", "2000",
                           "--row-us", "100", "--serial", "0.3", "--outage", "30", "--before", "2", "--keys", str(keys)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)
    assert played["catch_up_s"] == pytest.approx(played["formula_catch_up_s"], rel=0.2)
    assert played["peak_lag_s"] == pytest.approx(played["formula_peak_lag_s"], rel=0.1)
    lags = [one["lag_s"] for one in played["lags"] if one["shard"] != played["worst"]]
    assert max(map(max, lags)) < 1


def test_a_catch_up_is_seen_however_late_it_is():
    """It comes after more samples than are kept (16384 of a tenth of a second)."""
    done = subprocess.run([LEAT.parent / "leat-outage", "--writes", "20", "--shards", "1", "--fixed-us", "1500", "--row-us", "12", "--outage", "60",
                           "--before", "1700"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)
    assert played["catch_up_s"] < 60 and played["peak_lag_s"] == pytest.approx(60, abs=1)
    assert len(played["lags"][0]["lag_s"]) == 16384


@pytest.mark.parametrize("lag, catch_up, all_are", [(0.01, 0.2, True), (0.21, 0.02, False), (0.0, 0.5, False)])
def test_of_each_prediction_it_is_said_whether_it_held(capsys, lag, catch_up, all_are):
    """As bench/plan ends: one that was wrong by more than a fifth is a no, and not all held."""
    assert are_within(0.2, lag_peak=lag, catch_up=catch_up) == all_are
    said = dict(line.split(" within 20 %: ") for line in capsys.readouterr().out.splitlines())
    assert said == {"lag_peak": "yes" if lag <= 0.2 else "no", "catch_up": "yes" if catch_up <= 0.2 else "no"}


def test_a_shard_catches_up_no_faster_than_it_is_read():
    """Few rows: the backlog is folded, and the one worker that reads both shards is what takes the time."""
    done = subprocess.run([LEAT.parent / "leat-outage", "--writes", "60000", "--shards", "2", "--tenants", "2000", "--fixed-us", "2000",
                           "--row-us", "100", "--serial", "0.1", "--outage", "20", "--before", "2", "--keys", "5000"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)
    assert played["workers"] == 1
    assert played["formula_catch_up_s"] == pytest.approx(6.2, rel=0.05)  # without the reader 1 s
    assert played["catch_up_s"] > played["formula_catch_up_s"]


def test_fewer_keys_than_shards_are_a_row_in_each():
    given = ["--writes", "1000", "--shards", "40", "--fixed-us", "1500", "--row-us", "12", "--json"]
    rows = [json.loads(plan(*given, "--keys", keys).stdout)["figures"]["rows"]["value"] for keys in ("30", "40")]
    assert rows == [1, 1]
